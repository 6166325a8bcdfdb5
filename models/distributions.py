"""Densities and divergences, in nats."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)
MIN_VARIANCE = 1e-8


def variance(raw: Tensor) -> Tensor:
    """softplus(raw) + 1e-8: unbounded -> positive, any shape."""
    return F.softplus(raw) + MIN_VARIANCE


def reparameterize(mean: Tensor, var: Tensor, noise: Tensor) -> Tensor:
    """The reparameterised draw mean + √var · noise: (...) -> (...).

    Source: Kingma & Welling 2014, section 2.4.
    """
    return mean + var.sqrt() * noise


def log_normal(z: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """log N(z; mean, var), diagonal: (..., latent) -> (...), nats."""
    return -0.5 * ((z - mean).square() / var + var.log() + LOG_2PI).sum(-1)


def log_standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I): (..., latent) -> (...), nats."""
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


def log_mixture(z: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """log Σ_k N(z; mean_k, var_k) / k with diagonal variances, in nats.

    z (..., latent), means and variances (k, latent) -> (...). The squares (z - mean)²/var are
    expanded into one matrix product, [z², z] · [1/var, -2 mean/var], which needs no array (..., k,
    latent).
    """
    precision = variances.reciprocal()
    offset = (means.square() * precision + variances.log() + LOG_2PI).sum(-1)
    weights = torch.cat([precision, -2 * means * precision], -1)
    exponents = -0.5 * (torch.cat([z.square(), z], -1) @ weights.T + offset)
    # logsumexp by hand: the gradient of torch's computes the exponentials twice
    largest = exponents.detach().amax(-1, keepdim=True)
    return (exponents - largest).exp().sum(-1).log() + largest.squeeze(-1) - math.log(len(means))


def kl_standard_normal(mean: Tensor, var: Tensor) -> Tensor:
    """KL(N(mean, var) || N(0, I)): (..., latent) -> (...), in nats.

    Source: Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + var - var.log() - 1).sum(-1)


def kl_normal(mean: Tensor, var: Tensor, prior_mean: Tensor, prior_var: Tensor) -> Tensor:
    """KL(N(mean, var) || N(prior_mean, prior_var)), diagonal: (..., latent) -> (...), in nats."""
    squares = ((mean - prior_mean).square() + var) / prior_var
    return 0.5 * (squares + prior_var.log() - var.log() - 1).sum(-1)


def kl_uniform(logits: Tensor) -> Tensor:
    """KL(Categorical(logits) || uniform): (..., classes) -> (...), nats."""
    log_q = logits.log_softmax(-1)
    return (log_q.exp() * log_q).sum(-1) + math.log(logits.shape[-1])


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log Bernoulli(x; sigmoid(logits)): (..., pixels) -> (...), in nats.

    x may lack leading dimensions of the logits. softplus(l) - x·l is computed as log(1 + exp(-|l|))
    + |l|/2 + (1/2 - x)·l. log1p would be more precise than the rounding of the sum over pixels, and
    ten times as slow on a CPU.
    """
    magnitude = logits.abs()
    return ((1 + (-magnitude).exp()).log() + 0.5 * magnitude + (0.5 - x) * logits).sum(-1)
