"""The importance-weighted autoencoder, trained by the bound of k draws.

Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016, eq. 8 and 14.
"""

import math

import torch
from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import (
    kl_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterize,
)
from models.gaussian_vae import GaussianVAE
from models.networks import positive


@register("iwae", replaceable=True)
class IWAE(GaussianVAE):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    Training minimises -log (1/k) Σ_i p(x, z_i) / q(z_i|x) with z_i ~ q(z|x), where β has no place.
    `rec` and `kl` are the bound of one draw, so the column `nelbo` means what it means for other
    models.
    """

    def __init__(
        self, k: int = 5, z: int = 10, likelihood: str = "auto", data: DataSpec = MNIST_SPEC
    ):
        super().__init__(z, likelihood, data)
        self.k = positive(k)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image, and k - 1 further ones in training."""
        further = {"further": (self.k - 1, batch, self.z)}
        return super().noise(batch) | (further if self.training and self.k > 1 else {})

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound of all draws as `loss`, and that of the first draw."""
        mean, var = self.encoder(batch.x)
        draws = noise["z"].unsqueeze(0)
        if "further" in noise:
            draws = torch.cat([draws, noise["further"]])
        log_w, rec = self._weigh(batch.x, mean, var, draws)
        loss = math.log(len(log_w)) - log_w.logsumexp(0)
        return Terms(rec[0], kl_standard_normal(mean, var), loss=loss)

    def _weigh(self, x: Tensor, mean: Tensor, var: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x, z) - log q(z|x) and -log p(x|z) of each draw: (draws, batch) each, nats."""
        z = reparameterize(mean, var, noise)
        rec = self.score_draw(x, z)
        return log_standard_normal(z) - log_normal(z, mean, var) - rec, rec
