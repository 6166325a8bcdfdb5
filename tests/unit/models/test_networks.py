"""The networks' own activation against torch's."""

import pytest
import torch
from torch import nn

from models.networks import ELU

ROUNDING = 1.2e-7  # of numbers near 1


@pytest.fixture
def wide() -> torch.Tensor:
    """From where the exponential is nothing, past steps smaller than rounding, to large; 0 itself
    among them.
    """
    near = torch.logspace(-12, 2, 2000)
    return torch.cat([-near.flip(0), torch.zeros(1), near, torch.tensor([-1e30, 1e30])])


def test_the_elu_is_torchs_to_the_rounding_of_numbers_near_one(wide: torch.Tensor) -> None:
    ours, theirs = ELU()(wide), nn.ELU()(wide)
    assert (ours - theirs).abs().max() <= ROUNDING
    assert torch.equal(ours[wide > 0], wide[wide > 0])


def slopes(activation: nn.Module, h: torch.Tensor) -> torch.Tensor:
    inputs = h.clone().requires_grad_()
    (slope,) = torch.autograd.grad(activation(inputs).sum(), inputs)
    return slope


def test_the_slope_of_the_elu_is_torchs(wide: torch.Tensor) -> None:
    """At 0 too, where every unit of a layer of zeros stands."""
    assert (slopes(ELU(), wide) - slopes(nn.ELU(), wide)).abs().max() <= ROUNDING
    assert slopes(ELU(), torch.zeros(1)).item() == 1
