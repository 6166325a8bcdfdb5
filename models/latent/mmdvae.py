"""The MMD-VAE, the InfoVAE whose divergence of the aggregate posterior is an MMD.

Source: Zhao, Song and Ermon, InfoVAE: Balancing Learning and Inference in Variational Autoencoders,
2019, eq. 6; with the kernel of Tolstikhin et al. 2018, section 4.

Training minimises rec + (1 - α) KL(q(z|x) || p(z)) + (α + λ - 1) MMD²(q(z), p(z)). With α = 1 and a
certain encoder it would be the WAE-MMD (`examples/wae_mmd.py`). `rec` and `kl` are the bound of
every VAE, so the column `nelbo` means what it means for other models.

    python harness/bench.py --models mmdvae vae
"""

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.discrepancy import estimate_mmd
from models.distributions import (
    kl_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterize,
)
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


@register("mmdvae", replaceable=True)
class MMDVAE(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    β has no place in the loss; `alpha` and `mmd_weight` (λ) have.
    """

    def __init__(
        self,
        z: int = 10,
        alpha: float = 0.0,
        mmd_weight: float = 1000.0,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha {alpha}; expected a number from 0 to 1")
        if mmd_weight < 1 - alpha:
            raise ValueError(f"mmd_weight {mmd_weight}; expected at least 1 - alpha")
        self.z, self.likelihood = positive(z), make_likelihood(likelihood, data)
        self.kl_weight, self.mmd_weight = 1 - alpha, alpha + mmd_weight - 1
        self.encoder = Encoder(z, data.dimensions)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image, and in training one of the prior."""
        draws: dict[str, Shape] = {"z": (batch, self.z)}
        return draws | ({"prior": (batch, self.z)} if self.training else {})

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound with the analytic KL; in training the loss, eq. 6."""
        mean, var = self.encoder(batch.x)
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self.decoder(z), batch.x)
        kl = kl_standard_normal(mean, var)
        if not self.training:
            return Terms(rec, kl)
        mmd = self.mmd_weight * estimate_mmd(z, noise["prior"])
        return Terms(rec, kl, loss=rec + self.kl_weight * kl + mmd)

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
        rec = self.likelihood.nll(self.decoder(z), x)
        return log_standard_normal(z) - log_normal(z, mean, var) - rec
