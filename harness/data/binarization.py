"""Binarisation: grey levels as probabilities of a pixel being on (Salakhutdinov and Murray 2008).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def binarise(grey: Tensor, generator: torch.Generator) -> Tensor:
    """x ~ Bernoulli(grey / 255), exactly: bytes of any shape -> floats 0 or 1 of that shape.

    On a CPU a random byte u decides: below the grey level g the pixel is 1, above it 0, and where
    they are equal it is drawn again, g / 256 + (g / 255) / 256 = g / 255. Eight bytes come of one
    64-bit draw.
    """
    return binarise_cells(grey.unsqueeze(0), [generator]).squeeze(0)


def binarise_cells(grey: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """The same for several cells, each by its own generator: bytes (cells, ...) -> floats 0 or 1 of
    that shape.
    """
    if grey.numel() == 0:
        return grey.float()
    # there draws cost nothing, and looking for equal bytes would wait for the device
    if grey.device.type != "cpu":
        draws = [
            _random_below_255(levels, generator)
            for levels, generator in zip(grey, generators, strict=True)
        ]
        return (torch.stack(draws) < grey).float()
    x = torch.empty(grey.shape)
    for into, levels, generator in zip(x, grey, generators, strict=True):
        _binarise_into(into, levels, generator)
    return x


def _binarise_into(out: Tensor, grey: Tensor, generator: torch.Generator) -> None:
    """One cell's, on the CPU, into a tensor of the shape of its grey levels whose memory is dense.
    """
    draws = _random_bytes(grey.numel(), generator).view(grey.shape)
    torch.lt(draws, grey, out=out)  # a fifth of the time of (draws < grey).float()
    # an eighth of that of torch's nonzero
    ties = torch.from_numpy(np.flatnonzero((draws == grey).numpy()))
    levels = grey.flatten()[ties]
    out.view(-1)[ties] = (_random_below_255(levels, generator) < levels).float()


def _random_bytes(count: int, generator: torch.Generator) -> Tensor:
    """Uniform bytes: (count,), on the CPU."""
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(
        -(2**63), None, generator=generator
    )
    return words.view(torch.uint8)[:count]


def _random_below_255(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform bytes from 0 to 254, as many as there are grey levels."""
    return torch.randint(
        255, grey.shape, dtype=torch.uint8, device=grey.device, generator=generator
    )


def scale_to_unit(grey: Tensor) -> Tensor:
    """Grey levels in [0, 1]: bytes -> floats of the same shape."""
    return grey.float() / 255
