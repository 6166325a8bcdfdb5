"""The plan: a grid's cells less those that are done."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import Resume
from harness.plugins import registry
from harness.plugins.model import Model
from harness.storage import tensor_file
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
    """What is asked, what is left of it, in the order of the grid, and the rows that there are."""

    cells: tuple[Cell, ...]
    todo: tuple[Cell, ...]
    rows: Mapping[str, Row]


def make_plan(
    cells: Sequence[Cell], rows: Mapping[str, Row], evaluation: EvaluationConfig, resume: Resume
) -> Plan:
    """Subtract what is done."""
    todo = [cell for cell in cells if _is_needed(cell, rows.get(cell.id), evaluation, resume)]
    return Plan(tuple(cells), tuple(todo), rows)


def cells_to_train(plan: Plan, resume: Resume) -> list[Cell]:
    """The cells of what is left that will be trained, and not scored alone."""
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
    """Whether a finished row has every score that is asked for, and none that failed."""
    matches_subset = (
        not evaluation.covers(cell)
        or not cell.has_bound
        or row["subset_checksum"] == evaluation.subset_checksum
    )
    return (
        row["error"] is None
        and matches_subset
        and evaluation.required_columns(cell) <= set((row["evaluated"] or "").split(","))
    )


def delete_saved_state(store: Store, cells: Sequence[Cell]) -> None:
    """Remove what a cell could be continued from, so that it is trained from the start; rows stay
    until replaced.
    """
    for _, key in _list_saved_files(store, cells):
        store.remove(key)


def check_checkpoints(store: Store, cells: Sequence[Cell]) -> list[Cell]:
    """The cells whose checkpoint is of another text of their model, and which will be trained from
    the start.

    Refused, before anything starts, are a damaged file that a cell would go on from, and a
    checkpoint without state.
    """
    outdated = []
    for cell, key in _list_saved_files(store, cells):
        content = store.read(key)
        if content is not None:
            try:
                tensors, record = tensor_file.parse(content)
            except ValueError as error:
                raise _unusable_file_error(store, key, str(error)) from None
            if key == checkpoint_key(cell) and record.get("source") != registry.source_hash(
                cell.model
            ):
                outdated.append(cell)
            elif key == checkpoint_key(cell) and (
                missing := trainer.missing_state(_build_model(cell.pack_key), tensors)
            ):
                problem = (
                    f"a checkpoint of an older version, without the state that a step changes "
                    f"({missing})"
                )
                raise _unusable_file_error(store, key, problem)
    return outdated


def _unusable_file_error(store: Store, key: str, what: str) -> InputError:
    return InputError(
        f"{store.display_path(key)} is {what}; delete it to train its cell from the start"
    )


@functools.lru_cache(maxsize=64)
def _build_model(cell: Cell) -> Model:
    return registry.build(cell)


def _list_saved_files(store: Store, cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
    """The checkpoints, weights and kept scores of the cells that are there: by listings, not a
    request a cell.
    """
    existing = {key for folder in (CHECKPOINTS, WEIGHTS, SCORES) for key in store.keys(*folder)}
    keys = [
        (cell, (checkpoint_key(cell), weights_key(cell), scores_key(cell.id))) for cell in cells
    ]
    return [(cell, key) for cell, mine in keys for key in mine if key in existing]
