"""The VAE whose prior is the mixture of the posteriors of learned pseudo-inputs.

Source: Tomczak & Welling, VAE with a VampPrior, 2018, eq. 9.
The pseudo-inputs start as training images; with `from_data: false` they start at random.
"""

import torch
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms, TrainingImages
from harness.plugins.registry import register
from models.distributions import log_mixture, log_normal, reparameterize
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive

MARGIN = 0.05  # of a pseudo-input from the ends of the range of the data, when it starts


@register("vampprior", replaceable=True)
class VampPrior(Model):
    """p(z) = Σ_k q(z|u_k) / k, u learned;  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x),
    var(x))
    """

    def __init__(
        self,
        z: int = 10,
        k: int = 500,
        from_data: bool = True,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        self.from_data = from_data
        self.z, self.k = positive(z), positive(k)
        self.likelihood = make_likelihood(likelihood, data)
        self.is_bounded = data.kind != "continuous"
        self.encoder = Encoder(z, data.dimensions)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)
        self.pseudo_inputs = nn.Parameter(torch.randn(k, data.dimensions))

    def start_from_data(self, images: TrainingImages) -> None:
        """The pseudo-inputs are k training images."""
        if self.from_data:
            x = images.draw(self.k)
            self.pseudo_inputs.copy_(torch.logit(x, MARGIN) if self.is_bounded else x)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image, and one that selects its component when sampling."""
        return {"z": (batch, self.z), "component": (batch,)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; its KL is estimated by one sample, as a mixture has no analytic KL."""
        return Terms(*self._rec_and_kl(batch.x, noise["z"]))

    def sample(self, noise: Noise) -> Tensor:
        """A uniformly drawn component, z from it, decoded."""
        component = (torch.special.ndtr(noise["component"]) * self.k).long().clamp(max=self.k - 1)
        means, variances = self._components()
        z = reparameterize(means[component], variances[component], noise["z"])
        return self.likelihood.mean(self.decoder(z))

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
        rec, kl = self._rec_and_kl(x, noise["z"])
        return -(rec + kl)

    def _components(self) -> tuple[Tensor, Tensor]:
        """Means and variances of q(z|u_k), (k, z) each; u has the range of the data."""
        u = self.pseudo_inputs.sigmoid() if self.is_bounded else self.pseudo_inputs
        mean, var = self.encoder(u)
        return mean, var

    def _rec_and_kl(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, var = self.encoder(x)
        z = reparameterize(mean, var, noise)
        kl = log_normal(z, mean, var) - log_mixture(z, *self._components())
        return self.likelihood.nll(self.decoder(z), x), kl
