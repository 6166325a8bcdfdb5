"""The labelled images of a cell: equally many of each class, drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import InputError
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.plugins.model import CLASSES


def draw_labelled_indices(
    classes: Tensor, budget: int, seed: int, n_classes: int = CLASSES
) -> Tensor:
    """Draw labelled images, equally many of each class.

    classes: (n,); returns indices (budget,). Budgets are nested: the images of a smaller budget are
    among those of a larger one of the same seed. InputError if the budget cannot be drawn.
    """
    if budget % n_classes:
        raise InputError(
            f"labels {budget}: expected a multiple of {n_classes}, as many images of each class"
        )
    generator = seeding.generator(seed, "labels")
    indices_by_class = []
    for label in range(n_classes):
        members = (classes == label).nonzero().squeeze(1).cpu()
        if len(members) < budget // n_classes:
            raise InputError(
                f"labels {budget}: class {label} has {len(members)} images, expected "
                f"{budget // n_classes}"
            )
        indices_by_class.append(
            members[torch.randperm(len(members), generator=generator)][: budget // n_classes]
        )
    return torch.stack(indices_by_class, 1).flatten()


@dataclass(frozen=True)
class LabelledImages:
    """Stored images (labels, dimensions), their classes (labels,) and indices (labels,)."""

    grey: Tensor
    classes: Tensor
    indices: Tensor


def select_labelled(cell: Cell, data: Data, listed_indices: Sequence[int]) -> LabelledImages:
    """The labelled images of a cell, as its `label_draw` says.

    They are drawn from its seed, from a fixed draw, or are the `listed_indices` of a file.
    """
    if cell.label_draw == "none":
        indices = torch.empty(0, dtype=torch.long)
    elif cell.label_draw.startswith("file-"):
        indices = torch.tensor(listed_indices)
    else:
        seed = (
            cell.seed if cell.label_draw == "seed" else int(cell.label_draw.removeprefix("draw-"))
        )
        indices = draw_labelled_indices(data.train_y, cell.labels, seed, data.spec.classes)
    images = data.train_x[indices.to(data.train_x.device)].to(data.device)
    indices = indices.to(data.device)
    return LabelledImages(images, data.train_y[indices], indices)
