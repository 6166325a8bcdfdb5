"""The plan: a grid's cells less those that are done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness import tensorfile
from harness.choices import Resume
from harness.errors import BadInput
from harness.evaluation import Evaluation
from harness.grid import Cell
from harness.schema import Row
from harness.store import Store
from harness.trial import checkpoint_key, weights_key


@dataclass(frozen=True)
class Plan:
    """What is asked, what is left of it, in the order of the grid, and the rows that there are."""

    cells: tuple[Cell, ...]
    todo: tuple[Cell, ...]
    rows: Mapping[str, Row]


def make(cells: Sequence[Cell], rows: Mapping[str, Row], evaluation: Evaluation, resume: Resume) -> Plan:
    """Subtract what is done."""
    todo = [cell for cell in cells if _wanted(cell, rows.get(cell.id), evaluation, resume)]
    return Plan(tuple(cells), tuple(todo), rows)


def fresh(plan: Plan, resume: Resume) -> list[Cell]:
    """The cells of what is left that will be trained, and not scored alone."""
    return [cell for cell in plan.todo if resume == "never" or plan.rows.get(cell.id, {}).get("status") != "ok"]


def _wanted(cell: Cell, row: Row | None, evaluation: Evaluation, resume: Resume) -> bool:
    if resume == "never":
        return True
    if row is None:
        return resume in ("missing", "always")
    if row["status"] != "ok":
        return resume in ("failed", "always")
    return resume != "failed" and not scored(cell, row, evaluation)


def scored(cell: Cell, row: Row, evaluation: Evaluation) -> bool:
    """Whether a finished row has every score that is asked for."""
    of_this_list = (
        not evaluation.covers(cell) or not cell.has_bound or row["subset_checksum"] == evaluation.subset_checksum
    )
    return of_this_list and evaluation.asked(cell) <= set((row["evaluated"] or "").split(","))


def forget(store: Store, cells: Sequence[Cell]) -> None:
    """Remove what a cell could be continued from, so that it is trained from the start; rows stay until replaced."""
    for key in _kept(store, cells):
        store.remove(key)


def check_files(store: Store, cells: Sequence[Cell]) -> None:
    """Refuse a damaged checkpoint or weights file before anything starts."""
    for key in _kept(store, cells):
        content = store.read(key)
        if content is not None:
            try:
                tensorfile.parse(content)
            except ValueError as error:
                raise BadInput(f"{store.shown(key)} is {error}; delete it to train its cell from the start") from None


def _kept(store: Store, cells: Sequence[Cell]) -> list[str]:
    """The checkpoints and weights of the cells that are there: two listings, not two requests a cell."""
    there = {key for folder in ("checkpoints", "weights") for key in store.keys(folder, ".safetensors")}
    return [key for cell in cells for key in (checkpoint_key(cell), weights_key(cell)) if key in there]
