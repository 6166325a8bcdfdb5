"""The row of a cell that has ended: the columns besides its scores."""

from collections.abc import Mapping
from typing import Any

from harness.experiment import provenance
from harness.experiment.cell import Cell
from harness.experiment.seeding import TrainingPurpose
from harness.plugins import registry
from harness.storage import schema
from harness.storage.store import Store
from harness.training.task import Task


def write_row(store: Store, task: Task, cell: Cell, status: str, values: Mapping[str, Any]) -> None:
    """Write the row of a cell that has ended with a status."""
    fixed = {
        "grid": task.grid,
        "run": task.run,
        "seeded": ",".join(seed_purposes(cell)),
        "full_length": registry.lookup(cell.model).iterations,
        "status": status,
        "finished": provenance.utc_now(),
        "search_spec": task.search_spec if cell.stage else None,
    }
    source = {"source": registry.source_hash(cell.model)}
    store.write_row({**source, **values, **schema.describe_cell(cell), **fixed})


def seed_purposes(cell: Cell) -> tuple[TrainingPurpose, ...]:
    """The random streams that the cell's own seed drives."""
    always: tuple[TrainingPurpose, ...] = ("weights", "order", "binarisation", "noise")
    return (*always, "labels") if cell.label_draw == "seed" else always
