"""The log-determinants of flows against their Jacobians by automatic differentiation."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vmap

Flow = Callable[..., tuple[Tensor, Tensor]]


def compare_determinants(flow: Flow, inputs: tuple[Tensor, ...]) -> None:
    """The second output of a flow of z, the first input, against the Jacobian of the first."""
    with torch.no_grad():
        log_det = flow(*inputs)[1]
        jacobian = vmap(jacrev(lambda *one: flow(*(part.unsqueeze(0) for part in one))[0][0]))(
            *inputs
        )
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian)[1], rtol=1e-3, atol=1e-3)
