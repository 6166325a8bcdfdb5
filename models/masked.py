"""Linear layers whose masks make a net autoregressive.

Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation, 2015, eq. 8, 9, 12
and 13.

Every unit has a degree. An input's is its place, from 1; a hidden unit of degree d sees inputs at
places up to d; an output at place i sees hidden units of degrees below i, so inputs before i alone.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def spread_degrees(units: int, places: int) -> Tensor:
    """Degrees of hidden units, as many of each from 1 to places - 1: (units,), rising."""
    return 1 + torch.arange(units) * (places - 1) // units


class MaskedLinear(nn.Linear):
    """A linear layer whose unit of degree d sees inputs of degrees up to d.

    With `is_output` it sees those below d.
    """

    def __init__(self, inputs: Tensor, outputs: Tensor, is_output: bool = False):
        """The degrees of the inputs (in,) and of the units (out,)."""
        super().__init__(len(inputs), len(outputs))
        degrees = outputs.unsqueeze(1)
        self.register_buffer("mask", (degrees > inputs if is_output else degrees >= inputs).float())

    def masked_weight(self) -> Tensor:
        """The weight, 0 where a unit must not see an input: (out, in)."""
        return self.weight * self.get_buffer("mask")

    def forward(self, h: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(h, self.masked_weight(), self.bias)
