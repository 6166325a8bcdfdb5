"""The VAE with two levels of latent variables, and free bits that keep both in use.

Source: Rezende, Mohamed and Wierstra 2014, section 2; the bottom-up posterior of Burda et al. 2016,
section 4; free bits of Kingma et al. 2016, eq. 15.

    python harness/bench.py --models hvae vae
"""

import torch
from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import (
    kl_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterize,
)
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


@register("hvae", replaceable=True)
class HVAE(Model):
    """p(z2) = N(0, I);  p(z1|z2) = N(mean(z2), var(z2));  p(x|z1) = likelihood(decoder(z1));
    q(z1|x) = N(mean(x), var(x));  q(z2|z1) = N(mean(z1), var(z1))

    Training does not push the KL of a level, the mean of a batch, below `free_bits` nats. The bound
    is that without them.
    """

    def __init__(
        self,
        z1: int = 40,
        z2: int = 20,
        free_bits: float = 1.0,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        if free_bits < 0:
            raise ValueError(f"free_bits {free_bits}; expected nats, at least 0")
        self.z1, self.z2, self.free_bits = positive(z1), positive(z2), free_bits
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder1, self.encoder2 = Encoder(z1, data.dimensions), Encoder(z2, z1)
        self.prior1 = Encoder(z1, z2)
        self.decoder = decoder(z1, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of each latent variable per image."""
        return {"z2": (batch, self.z2), "z1": (batch, self.z1)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; the KL of the first level is estimated by one sample.

        In training `extra` raises the KL of a level to its free bits: max(KL, free) = KL +
        max(free - KL, 0).
        """
        mean1, var1, z1, mean2, var2, z2 = self._draw(batch.x, noise)
        kl1 = log_normal(z1, mean1, var1) - log_normal(z1, *self.prior1(z2))
        kl2 = kl_standard_normal(mean2, var2)
        rec = self.likelihood.nll(self.decoder(z1), batch.x)
        if not self.training:
            return Terms(rec, kl1 + kl2)
        means = torch.stack([kl1.mean(), kl2.mean()])
        return Terms(rec, kl1 + kl2, extra=(self.free_bits - means).relu().sum())

    def sample(self, noise: Noise) -> Tensor:
        """z2 from the prior, z1 given z2, decoded."""
        mean, var = self.prior1(noise["z2"])
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z1"])))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z1 from q(z1|x), decoded."""
        mean, var = self.encoder1(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z1"])))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z1|x)."""
        mean, var = self.encoder1(x)
        return mean, var

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z1) + log p(z1|z2) + log p(z2) - log q(z1|x) - log q(z2|z1)."""
        mean1, var1, z1, mean2, var2, z2 = self._draw(x, noise)
        log_q = log_normal(z1, mean1, var1) + log_normal(z2, mean2, var2)
        log_p = log_normal(z1, *self.prior1(z2)) + log_standard_normal(z2)
        return log_p - log_q - self.likelihood.nll(self.decoder(z1), x)

    def _draw(
        self, x: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Mean, variance and draw of z1 given x, then those of z2 given z1."""
        mean1, var1 = self.encoder1(x)
        z1 = reparameterize(mean1, var1, noise["z1"])
        mean2, var2 = self.encoder2(z1)
        return mean1, var1, z1, mean2, var2, reparameterize(mean2, var2, noise["z2"])
