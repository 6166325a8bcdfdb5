"""From stored values to what models see: vectors of 0 and 1, of levels in [0, 1], or of floats.

A model of the density of ordinal data sees dequantised levels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.data.binarization import binarise, binarise_cells, scale_to_unit
from harness.plugins.dataset import DataSpec


def is_drawn(spec: DataSpec) -> bool:
    """Whether the images are binarised anew in every step."""
    return spec.kind == "binary" and spec.binarisation == "dynamic"


def prepare_batch(
    stored: Tensor,
    spec: DataSpec,
    generators: Sequence[torch.Generator],
    dequantised: bool = False,
) -> Tensor:
    """The images of a step, (cells, ...) -> floats of that shape; each cell has its generator.

    dequantised: as in `prepare`
    """
    if is_drawn(spec):
        return binarise_cells(stored, generators)
    scaled = scale(stored, spec)
    if not dequantised:
        return scaled
    by_cell = zip(scaled, generators, strict=True)
    return torch.stack([dequantise(images, generator, spec) for images, generator in by_cell])


def prepare(
    stored: Tensor, spec: DataSpec, generator: torch.Generator, dequantised: bool = False
) -> Tensor:
    """The images for a score: (n, dimensions) -> floats of that shape.

    dequantised: whether ordinal images are for a model of their density, see `dequantise`
    """
    if is_drawn(spec):
        return binarise(stored, generator)
    scaled = scale(stored, spec)
    return dequantise(scaled, generator, spec) if dequantised else scaled


def dequantise(scaled: Tensor, generator: torch.Generator, spec: DataSpec) -> Tensor:
    """Ordinal images in [0, 1] -> the same plus (u - 1/2) / (levels - 1), u uniform in [0, 1).

    The noise is as wide as a level, and each level stays at the centre of its own interval.
    """
    uniform = torch.rand(scaled.shape, generator=generator, device=scaled.device)
    return scaled + (uniform - 0.5) / (spec.levels - 1)


def scale(stored: Tensor, spec: DataSpec) -> Tensor:
    """Levels as floats in [0, 1], without a draw; continuous values as they are."""
    if is_drawn(spec):
        return scale_to_unit(stored)
    return stored.float() / (spec.levels - 1) if spec.kind == "ordinal" else stored.float()
