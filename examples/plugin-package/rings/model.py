"""Probabilistic principal component analysis, trained as a VAE.

Source: Tipping and Bishop, Probabilistic Principal Component Analysis, 1999.
"""

from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import kl_standard_normal, reparameterize, variance
from models.likelihoods import make_likelihood


@register("ppca")
class PPCA(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(W z + b);  q(z|x) = N(mean(x), var(x))"""

    iterations = 2_000

    def __init__(self, z: int = 2, data: DataSpec = MNIST_SPEC):
        super().__init__()
        self.z, self.likelihood = z, make_likelihood("auto", data)
        self.encoder = nn.Linear(data.dimensions, 2 * z)
        self.decoder = nn.Linear(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image."""
        return {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound with the analytic KL."""
        mean, raw = self.encoder(batch.x).chunk(2, -1)
        var = variance(raw)
        decoded = self.decoder(reparameterize(mean, var, noise["z"]))
        return Terms(self.likelihood.nll(decoded, batch.x), kl_standard_normal(mean, var))

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self.decoder(noise["z"]))
