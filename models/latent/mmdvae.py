"""InfoVAE with the maximum mean discrepancy: the KL loses weight, and q(z) is held to the prior.

Source: Zhao, Song and Ermon, InfoVAE: Balancing Learning and Inference in Variational
Autoencoders, 2019, section 3.2. The estimate and the kernel of the discrepancy are those
of Tolstikhin et al., Wasserstein Auto-Encoders, 2018, algorithm 2 and section 4.
"""

import torch
from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import kl_standard_normal, reparameterize
from models.gaussian_vae import GaussianVAE

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernel


@register("mmdvae", replaceable=True)
class MMDVAE(GaussianVAE):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    The loss is rec + (1 - α)·KL(q(z|x) || p(z)) + (α + λ - 1)·MMD²(q(z), p(z)) with α = `alpha`,
    λ = `mmd_weight` and q(z) the mean of q(z|x) over images. What differs from the bound is
    `extra`, so the reported bound is the usual one. α = 0 and λ = 1 give the VAE, α = 1 gives
    MMD-VAE.
    """

    def __init__(
        self,
        z: int = 10,
        alpha: float = 0.5,
        mmd_weight: float = 100.0,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__(z, likelihood, data)
        self.alpha, self.mmd_weight = alpha, mmd_weight

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image, and in training as many from the prior."""
        prior = {"prior": (batch, self.z)}
        return super().noise(batch) | (prior if self.training else {})

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; in training `extra` turns it into the loss of InfoVAE."""
        mean, var = self.encoder(batch.x)
        z = reparameterize(mean, var, noise["z"])
        rec, kl = self.score_draw(batch.x, z), kl_standard_normal(mean, var)
        if not self.training:
            return Terms(rec, kl)
        mmd = estimate_mmd(z, noise["prior"])
        return Terms(rec, kl, extra=(self.alpha + self.mmd_weight - 1) * mmd - self.alpha * kl)


def estimate_mmd(a: Tensor, b: Tensor) -> Tensor:
    """The unbiased estimate of MMD² between two samples (n, z) each: one number.

    The kernel is Σ_s C / (C + |a - b|²) with C = 2 · z · s, s in SCALES.
    """
    n = len(a)
    others = 1 - torch.eye(n, device=a.device)
    within = ((_compute_kernel(a, a) + _compute_kernel(b, b)) * others).sum() / max(1, n * (n - 1))
    return within - 2 * _compute_kernel(a, b).mean()


def _compute_kernel(a: Tensor, b: Tensor) -> Tensor:
    """(n, z), (m, z) -> (n, m)."""
    squares = (a.unsqueeze(1) - b).square().sum(-1)
    constants = [2 * a.shape[-1] * scale for scale in SCALES]
    return torch.stack([c / (c + squares) for c in constants]).sum(0)
