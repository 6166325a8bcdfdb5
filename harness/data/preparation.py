"""From stored values to what models see: vectors of 0 and 1, of levels in [0, 1], or of floats."""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.data.binarization import binarise, binarise_cells, scale_to_unit
from harness.plugins.dataset import DataSpec


def is_drawn(spec: DataSpec) -> bool:
    """Whether the images are binarised anew in every step."""
    return spec.kind == "binary" and spec.binarisation == "dynamic"


def prepare_batch(stored: Tensor, spec: DataSpec, generators: Sequence[torch.Generator]) -> Tensor:
    """The images of a step, (cells, ...) -> floats of that shape; each cell has its generator."""
    return binarise_cells(stored, generators) if is_drawn(spec) else scale(stored, spec)


def prepare(stored: Tensor, spec: DataSpec, generator: torch.Generator) -> Tensor:
    """The images for a score: (n, dimensions) -> floats of that shape."""
    return binarise(stored, generator) if is_drawn(spec) else scale(stored, spec)


def scale(stored: Tensor, spec: DataSpec) -> Tensor:
    """Levels as floats in [0, 1], without a draw; continuous values as they are."""
    if is_drawn(spec):
        return scale_to_unit(stored)
    return stored.float() / (spec.levels - 1) if spec.kind == "ordinal" else stored.float()
