"""The networks' own activation against torch's."""

import pytest
import torch
from torch import nn

from models.networks import ELU

ROUNDING = 1.2e-7  # of numbers near 1


@pytest.fixture
def wide() -> torch.Tensor:
    """Numbers from where exp underflows, through very small ones and 0, to large ones."""
    near = torch.logspace(-12, 2, 2000)
    return torch.cat([-near.flip(0), torch.zeros(1), near, torch.tensor([-1e30, 1e30])])


def test_the_elu_is_torchs_to_the_rounding_of_numbers_near_one(wide: torch.Tensor) -> None:
    ours, theirs = ELU()(wide), nn.ELU()(wide)
    assert (ours - theirs).abs().max() <= ROUNDING
    assert torch.equal(ours[wide > 0], wide[wide > 0])


def gradients(activation: nn.Module, h: torch.Tensor) -> torch.Tensor:
    inputs = h.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(activation(inputs).sum(), inputs)
    return gradient


def test_elu_gradient_equals_torchs(wide: torch.Tensor) -> None:
    """Also at 0, the value of all units of a layer of zeros."""
    assert (gradients(ELU(), wide) - gradients(nn.ELU(), wide)).abs().max() <= ROUNDING
    assert gradients(ELU(), torch.zeros(1)).item() == 1
