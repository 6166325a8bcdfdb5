"""Training images that are held out for validation."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harness.errors import InputError
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data


def split_off_validation(
    data: Data, cell: Cell, listed_indices: Sequence[int] = ()
) -> tuple[Data, Sequence[int]]:
    """The data of a cell with its validation images, and where its listed images are in them.

    listed_indices: labelled training images of a file, by their index in all training images

    Without own validation images of the data set, the last images of a permutation are taken from
    the training images; it is the same for all cells of one `Cell.split`. The others keep their
    order. InputError as in `check_validation`.
    """
    check_validation(data, cell, listed_indices)
    if cell.validation == 0 or data.validation_x is not None:
        return data, listed_indices
    kept, held_out = _split_indices(len(data.train_x), cell)
    listed = torch.tensor(_select_used(cell, listed_indices), dtype=torch.long)
    positions = torch.searchsorted(kept, listed)
    x, y = data.train_x, data.train_y
    split = replace(
        data,
        train_x=x[kept.to(x.device)],
        train_y=y[kept.to(y.device)],
        validation_x=x[held_out.to(x.device)].to(data.device),
        validation_y=y[held_out.to(y.device)],
    )
    return split, positions.tolist()


def check_validation(data: Data, cell: Cell, listed_indices: Sequence[int] = ()) -> None:
    """InputError if a cell cannot have its number of validation images."""
    size = cell.validation
    if size == 0:
        return
    if data.validation_x is not None:
        own = len(data.validation_x)
        if size != own:
            raise InputError(
                f"validation {size}: data set '{data.name}' has {own} validation images of its "
                f"own; expected 0 or {own}"
            )
        if cell.split:
            raise InputError(
                f"search.split study: data set '{data.name}' has validation images of its own, "
                "which no study can draw; expected shared"
            )
        return
    n_images = len(data.train_x)
    if size >= n_images:
        raise InputError(
            f"validation {size}: data set '{data.name}' has {n_images} training images; expected "
            "fewer, as the cells are trained on the others"
        )
    _, held_out = _split_indices(n_images, cell)
    if lost := set(_select_used(cell, listed_indices)) & set(held_out.tolist()):
        raise InputError(
            f"validation {size}: image {min(lost)} of the listed labelled images is held out; "
            "expected images that are trained on, or another label_draw"
        )


def _select_used(cell: Cell, listed_indices: Sequence[int]) -> Sequence[int]:
    return listed_indices if cell.label_draw.startswith("file-") else ()


def _split_indices(n_images: int, cell: Cell) -> tuple[Tensor, Tensor]:
    """The indices of the images that are trained on and of those that are held out, sorted."""
    generator = seeding.evaluation_generator("validation split", cell.split)
    order = torch.randperm(n_images, generator=generator)
    return order[: -cell.validation].sort().values, order[-cell.validation :].sort().values
