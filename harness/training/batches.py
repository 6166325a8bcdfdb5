"""The images and the noise of every training step, for all cells of a pack."""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.data.labelled_subset import LabelledImages, select_labelled
from harness.data.preparation import prepare_batch
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, Model, Noise, draw_noise, sees_dequantised


class BatchStream:
    """Draws what each cell sees in each step, addressed by the cell's seed and the step.

    listed_indices: the labelled images of a file, for cells that use one
    model: gives the shapes of the noise
    """

    def __init__(
        self, cells: Sequence[Cell], data: Data, listed_indices: Sequence[int], model: Model
    ):
        self.cells, self.data, self.model = cells, data, model
        self.device, self.dequantised = data.device, sees_dequantised(model)
        labelled = [select_labelled(cell, data, listed_indices) for cell in cells]
        self.known_classes = self._find_known_classes(labelled) if model.uses_classes else None
        self.labelled_grey = torch.stack([one.grey for one in labelled])
        self.labelled_classes = torch.stack([one.classes for one in labelled])
        self._orders: dict[int, Tensor] = {}  # of the present epoch

    def draw(self, step: int) -> tuple[Batch, Noise]:
        """Images and noise of a step, binarised anew; (cells, ...) each."""
        generators = [
            seeding.generator(cell.seed, "binarisation", step, self.device) for cell in self.cells
        ]
        indices = self.batch_indices(step)
        # seven times as fast as train_x[indices]; large data stay in the memory of the CPU
        grey = self.data.train_x.index_select(0, indices.flatten()).to(self.device)
        x, labelled_x = (
            prepare_batch(stored, self.data.spec, generators, self.dequantised)
            for stored in (grey.unflatten(0, indices.shape), self.labelled_grey)
        )
        noise = [self._draw_cell_noise(cell, step, x.shape[1]) for cell in self.cells]
        batch = Batch(x, labelled_x, self.labelled_classes, **self._requested_fields(step, indices))
        return batch, {name: _stack([draw[name] for draw in noise]) for name in noise[0]}

    def _requested_fields(self, step: int, indices: Tensor) -> dict[str, Tensor]:
        """The fields of a batch that the model asks for."""
        fields = {}
        if self.known_classes is not None:
            fields["y"] = self.known_classes.gather(1, indices.to(self.device))
        if self.model.uses_progress:
            for name, steps in (("step", step), ("total", self.cells[0].iterations)):
                fields[name] = torch.full((len(self.cells),), float(steps), device=self.device)
        return fields

    def _find_known_classes(self, labelled: Sequence[LabelledImages]) -> Tensor:
        """The classes of all training images, (cells, n); -1 for those that a cell does not know.

        A cell without a label budget knows all of them.
        """
        classes = self.data.train_y.repeat(len(self.cells), 1)
        for known, cell, images in zip(classes, self.cells, labelled, strict=True):
            if cell.supervision != "none":
                known.fill_(-1)
                known[images.indices] = images.classes
        return classes

    def batch_indices(self, step: int) -> Tensor:
        """Indices of a step's images: (cells, batch).

        Every epoch has its own order, and its last batch holds the remaining images. Cells without
        a bound see only labelled images, so their batch is empty.
        """
        size, n_images = self.cells[0].batch_size, len(self.data.train_x)
        epoch, batch_in_epoch = divmod(step, -(-n_images // size))
        if epoch not in self._orders:
            self._orders = {
                epoch: torch.stack([self._permute_images(cell, epoch) for cell in self.cells])
            }
        order = self._orders[epoch][:, batch_in_epoch * size : (batch_in_epoch + 1) * size]
        return order if self.cells[0].has_bound else order[:, :0]

    def _permute_images(self, cell: Cell, epoch: int) -> Tensor:
        images = self.data.train_x
        generator = seeding.generator(cell.seed, "order", epoch)
        return torch.randperm(len(images), generator=generator).to(images.device)

    def _draw_cell_noise(self, cell: Cell, step: int, n_images: int) -> Noise:
        generator = seeding.generator(cell.seed, "noise", step, self.device)
        return draw_noise(self.model, n_images, generator)


def _stack(parts: Sequence[Tensor]) -> Tensor:
    """Tensors of the cells as one, (cells, ...); that of a single cell is not copied."""
    return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(list(parts))
