"""Learning curves as TensorBoard logs, a folder for each cell: the shipped tracker."""

from collections.abc import Mapping
from typing import Any

from harness.plugins.tracker import TrackedRun, register_tracker
from harness.storage.layout import tensorboard_key
from harness.storage.store import Store


@register_tracker("tensorboard")
class TensorBoard:
    """Writes the points of each cell's learning curve to RESULTS/tensorboard."""

    def __init__(self) -> None:
        self.writers: dict[str, Any] = {}  # of cells that have not ended, by id

    def check(self, results: str) -> None:
        """Refuse a bucket: TensorBoard appends to its logs, which a bucket does not allow."""
        Store(results).path("tensorboard")

    def on_run_start(self, run: TrackedRun) -> None:
        """Import what writes the logs."""
        from torch.utils.tensorboard import SummaryWriter  # imported here: slow, and rarely used

        self.make_writer, self.store = SummaryWriter, Store(run.results)

    def on_update(self, cell: str, point: Mapping[str, Any]) -> None:
        """Write a point of the learning curve of a cell (its id)."""
        if cell not in self.writers:
            folder = self.store.path(tensorboard_key(cell))
            self.writers[cell] = self.make_writer(str(folder))
        for name, value in point.items():
            if name != "step" and value is not None:
                self.writers[cell].add_scalar(name, value, point["step"])
        self.writers[cell].flush()

    def on_row(self, row: Mapping[str, Any]) -> None:
        """Close the log of a cell."""
        if row["cell"] in self.writers:
            self.writers.pop(row["cell"]).close()

    def on_run_end(self, end: str) -> None:
        """Close the logs of cells that have not ended."""
        for writer in self.writers.values():
            writer.close()
