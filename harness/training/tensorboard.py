"""Learning curves of the cells of a pack as TensorBoard logs."""

from collections.abc import Iterable
from typing import Any

from harness.experiment.cell import Cell
from harness.storage.layout import tensorboard_key
from harness.storage.store import Store


class TensorBoardWriter:
    """Writes the points of each cell's learning curve as they are recorded."""

    def __init__(self, store: Store, cells: Iterable[Cell]):
        from torch.utils.tensorboard import SummaryWriter  # imported here: slow, and rarely used

        self.writers = [SummaryWriter(str(store.path(tensorboard_key(cell.id)))) for cell in cells]
        self.last_step = -1

    def add(self, curves: list[list[dict[str, Any]]]) -> None:
        """Write the last point of each curve, unless it is written already."""
        if not curves[0] or curves[0][-1]["step"] == self.last_step:
            return
        self.last_step = curves[0][-1]["step"]
        for writer, curve in zip(self.writers, curves, strict=True):
            for name, value in curve[-1].items():
                if name != "step" and value is not None:
                    writer.add_scalar(name, value, curve[-1]["step"])
            writer.flush()
