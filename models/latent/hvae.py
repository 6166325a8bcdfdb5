"""The VAE with two levels of latent variables: the prior of the lower level is itself a VAE.

Source: Sønderby et al., Ladder Variational Autoencoders, 2016, eq. 1-3, for the levels of p; q runs
from the top down, as in Tomczak & Welling, VAE with a VampPrior, 2018, section 4. Free bits are
those of Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
appendix C.
"""

import torch
from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import (
    kl_normal,
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
    q(z2|x) = N(mean(x), var(x));  q(z1|x,z2) = N(mean(x,z2), var(x,z2))

    A level whose KL, the mean over the batch, is below `free_nats` nats costs that much in the
    loss, so that it is not pressed to 0. The reported bound has the true KL. A top level that is
    not used leaves the VAE.
    """

    def __init__(
        self,
        z1: int = 10,
        z2: int = 10,
        free_nats: float = 1.0,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        if not free_nats >= 0:
            raise ValueError(f"free_nats {free_nats}; expected a number of at least 0")
        self.z1, self.z2, self.free_nats = positive(z1), positive(z2), free_nats
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder2, self.encoder1 = (
            Encoder(z2, data.dimensions),
            Encoder(z1, data.dimensions + z2),
        )
        self.prior1 = Encoder(z1, z2)
        self.decoder = decoder(z1, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of each latent variable per image."""
        return {"z2": (batch, self.z2), "z1": (batch, self.z1)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound with analytic KLs given z2; in training what free bits add as `extra`."""
        z1, z2, q1, q2 = self._draw(batch.x, noise)
        levels = torch.stack([kl_normal(*q1, *self.prior1(z2)), kl_standard_normal(*q2)])
        rec = self.likelihood.nll(self.decoder(z1), batch.x)
        return Terms(rec, levels.sum(0), self._pad(levels) if self.training else None)

    def sample(self, noise: Noise) -> Tensor:
        """z2 from the prior, z1 given z2, decoded."""
        mean, var = self.prior1(noise["z2"])
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z1"])))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z2, then z1, from q, decoded."""
        return self.likelihood.mean(self.decoder(self._draw(x, noise)[0]))

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z1) + log p(z1|z2) + log p(z2) - log q(z1|x,z2) - log q(z2|x)."""
        z1, z2, q1, q2 = self._draw(x, noise)
        log_p = log_normal(z1, *self.prior1(z2)) + log_standard_normal(z2)
        log_q = log_normal(z1, *q1) + log_normal(z2, *q2)
        return log_p - log_q - self.likelihood.nll(self.decoder(z1), x)

    def _pad(self, levels: Tensor) -> Tensor:
        """What the levels' mean KLs lack to the free nats: (2, batch) -> one number, nats."""
        return (self.free_nats - levels.mean(1)).clamp(min=0).sum()

    def _draw(
        self, x: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """z1 and z2 from q, and means and variances of q(z1|x,z2) and q(z2|x)."""
        mean2, var2 = self.encoder2(x)
        z2 = reparameterize(mean2, var2, noise["z2"])
        mean1, var1 = self.encoder1(torch.cat([x, z2], -1))
        return reparameterize(mean1, var1, noise["z1"]), z2, (mean1, var1), (mean2, var2)
