"""The VAE whose prior is a learned mixture of Gaussians.

Source: the GMVAE of Stanford CS236, homework 2.
"""

import math

import torch
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import log_mixture, log_normal, reparameterize, variance
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


@register("gmvae")
class GMVAE(Model):
    """p(z) = Σ_k N(mean_k, var_k) / k, learned;  p(x|z) = likelihood(decoder(z));  q(z|x) =
    N(mean(x), var(x))
    """

    added_settings = ("likelihood",)

    def __init__(
        self, z: int = 10, k: int = 500, likelihood: str = "auto", data: DataSpec = MNIST_SPEC
    ):
        super().__init__()
        self.z, self.k = positive(z), positive(k)
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder = Encoder(z, data.dimensions)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)
        self.means = nn.Parameter(torch.randn(k, z) / math.sqrt(k * z))
        self.raw_variances = nn.Parameter(torch.randn(k, z) / math.sqrt(k * z))

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image, and one that selects its component when sampling."""
        return {"z": (batch, self.z), "component": (batch,)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; its KL is estimated by one sample, as a mixture has no analytic KL."""
        kl, rec = self._kl_and_rec(batch.x, noise["z"])
        return Terms(rec, kl, rec.new_zeros(()))

    def sample(self, noise: Noise) -> Tensor:
        """A uniformly drawn component, z from it, decoded."""
        component = (torch.special.ndtr(noise["component"]) * self.k).long().clamp(max=self.k - 1)
        z = reparameterize(
            self.means[component], variance(self.raw_variances)[component], noise["z"]
        )
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
        kl, rec = self._kl_and_rec(x, noise["z"])
        return -(kl + rec)

    def _kl_and_rec(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, var = self.encoder(x)
        z = reparameterize(mean, var, noise)
        kl = log_normal(z, mean, var) - log_mixture(z, self.means, variance(self.raw_variances))
        return kl, self.likelihood.nll(self.decoder(z), x)
