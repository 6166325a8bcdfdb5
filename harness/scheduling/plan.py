"""The plan: the cells of a grid that are not done."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import Resume
from harness.plugins import registry
from harness.plugins.model import Model
from harness.storage import tensor_file
from harness.storage.backend import FileVersion
from harness.storage.layout import (
    CHECKPOINTS,
    SCORES,
    WEIGHTS,
    checkpoint_key,
    scores_key,
    weights_key,
)
from harness.storage.schema import Row
from harness.storage.store import Store
from harness.training import trainer


@dataclass(frozen=True)
class Plan:
    """The cells of a grid, those that remain to do (in the same order), and the existing rows."""

    cells: tuple[Cell, ...]
    todo: tuple[Cell, ...]
    rows: Mapping[str, Row]


def make_plan(
    cells: Sequence[Cell], rows: Mapping[str, Row], evaluation: EvaluationConfig, resume: Resume
) -> Plan:
    """Plan the cells that are not done."""
    todo = [cell for cell in cells if _is_needed(cell, rows.get(cell.id), evaluation, resume)]
    return Plan(tuple(cells), tuple(todo), rows)


def cells_to_train(plan: Plan, resume: Resume) -> list[Cell]:
    """The remaining cells that must be trained; the others are only scored."""
    return [
        cell
        for cell in plan.todo
        if resume == "never" or plan.rows.get(cell.id, {}).get("status") != "ok"
    ]


def _is_needed(cell: Cell, row: Row | None, evaluation: EvaluationConfig, resume: Resume) -> bool:
    if resume == "never":
        return True
    if row is None:
        return resume in ("missing", "always")
    if row["status"] != "ok":
        return resume in ("failed", "always")
    return resume != "failed" and not is_fully_scored(cell, row, evaluation)


def is_fully_scored(cell: Cell, row: Row, evaluation: EvaluationConfig) -> bool:
    """Whether a finished row has every requested score, and none that failed."""
    matches_subset = (
        not evaluation.covers(cell)
        or not cell.has_bound
        or cell.stage == "search"
        or row["subset_checksum"] == evaluation.subset_checksum
    )
    return (
        row["error"] is None
        and matches_subset
        and evaluation.required_columns(cell) <= set((row["evaluated"] or "").split(","))
    )


def delete_saved_state(store: Store, cells: Sequence[Cell]) -> None:
    """Delete the checkpoints, weights and scores of cells, so that they are trained from the start;
    rows stay until replaced. A later rung of a trial goes on from the state of the one before.
    """
    for _, key, _ in _list_saved_files(store, [cell for cell in cells if cell.rung == 0]):
        store.remove(key)


def check_checkpoints(store: Store, cells: Sequence[Cell]) -> list[Cell]:
    """Check the saved files of the cells by their headers, and return the cells whose checkpoint
    another version of their plug-in wrote: these are trained from the start.

    InputError for a damaged file, and for a checkpoint without the state that its model changes in
    a step. Tensors are not read: a worker reads those of its own cells.
    """
    outdated = []
    for cell, key, size in _list_saved_files(store, cells):
        names, record = _read_header(store, key, size)
        if names is None or key != checkpoint_key(cell):
            continue
        if record.get("source") != registry.source_hash(cell.model):
            outdated.append(cell)
        elif missing := trainer.missing_state(_build_model(cell.pack_key), names):
            problem = "a checkpoint of an older version, without the state that a step changes"
            raise _unusable_file_error(store, key, f"{problem} ({missing})")
    return outdated


def _read_header(store: Store, key: str, size: int) -> tuple[set[str] | None, dict[str, Any]]:
    """The tensors' names and the record of a file that was listed with `size` bytes; None and no
    record where it is gone since.
    """
    try:
        return tensor_file.read_header(functools.partial(store.read_start, key), size)
    except ValueError:
        content = store.read(key)  # damaged, or written again since it was listed: look once more
    if content is None:
        return None, {}
    try:
        tensors, record = tensor_file.parse(content)
    except ValueError as error:
        raise _unusable_file_error(store, key, str(error)) from None
    return set(tensors), record


def _unusable_file_error(store: Store, key: str, what: str) -> InputError:
    return InputError(
        f"{store.display_path(key)} is {what}; delete it to train its cell from the start"
    )


@functools.lru_cache(maxsize=64)
def _build_model(cell: Cell) -> Model:
    return registry.build(cell)


def _list_saved_files(store: Store, cells: Sequence[Cell]) -> list[tuple[Cell, str, int]]:
    """The checkpoints, weights and kept scores of the cells, as (cell, key, bytes); found by three
    listings, whatever the number of cells.
    """
    versions: dict[str, FileVersion] = {}
    for folder in (CHECKPOINTS, WEIGHTS, SCORES):
        versions |= store.backend.versions(*folder)
    return [
        (cell, key, versions[key].size)
        for cell in cells
        for key in (checkpoint_key(cell), weights_key(cell), scores_key(cell.id))
        if key in versions
    ]
