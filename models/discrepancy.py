"""The maximum mean discrepancy between two samples."""

import torch
from torch import Tensor

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernel


def estimate_mmd(a: Tensor, b: Tensor) -> Tensor:
    """The unbiased estimate of MMD² between two samples (n, z) each: one number.

    The kernel is Σ_s C / (C + |a - b|²) with C = 2 · z · s, s in SCALES (Tolstikhin et al. 2018,
    section 4).
    """
    n = len(a)
    others = 1 - torch.eye(n, device=a.device)
    within = ((_kernel(a, a) + _kernel(b, b)) * others).sum() / max(1, n * (n - 1))
    return within - 2 * _kernel(a, b).mean()


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """(n, z), (m, z) -> (n, m)."""
    squares = (a.unsqueeze(1) - b).square().sum(-1)
    constants = [2 * a.shape[-1] * scale for scale in SCALES]
    return torch.stack([c / (c + squares) for c in constants]).sum(0)
