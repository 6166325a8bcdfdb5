"""What models with a Gaussian posterior and a standard normal prior have in common.

A subclass adds its own `terms`; `models/vae.py` is the model itself, written out.
"""

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from models.distributions import (
    kl_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterize,
)
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


class GaussianVAE(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    The weights of a seed are those of `vae` with the same z and likelihood.
    """

    def __init__(self, z: int = 10, likelihood: str = "auto", data: DataSpec = MNIST_SPEC):
        super().__init__()
        self.z, self.likelihood = positive(z), make_likelihood(likelihood, data)
        self.encoder = Encoder(z, data.dimensions)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image."""
        return {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound with the analytic KL."""
        mean, var = self.encoder(batch.x)
        rec = self.score_draw(batch.x, reparameterize(mean, var, noise["z"]))
        return Terms(rec, kl_standard_normal(mean, var))

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self.decoder(noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z from q(z|x), decoded."""
        mean, var = self.encoder(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z"])))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z|x)."""
        mean, var = self.encoder(x)
        return mean, var

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x)."""
        mean, var = self.encoder(x)
        z = reparameterize(mean, var, noise["z"])
        return log_standard_normal(z) - log_normal(z, mean, var) - self.score_draw(x, z)

    def score_draw(self, x: Tensor, z: Tensor) -> Tensor:
        """-log p(x|z): x (batch, dimensions), z (..., batch, z) -> (..., batch), nats."""
        return self.likelihood.nll(self.decoder(z), x)
