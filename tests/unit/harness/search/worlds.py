"""Grids with searches, and rows that a made-up training gives."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.experiment import grid_file
from harness.experiment.cell import Cell
from harness.experiment.grid import Grid
from harness.experiment.search.space import Space
from harness.plugins import registry
from harness.search.design import Design
from harness.storage.schema import Row

SPACE: Mapping[str, Any] = {"learning_rate": {"log": [1e-4, 1e-2]}, "settings": {"z": [5, 10]}}
SWEEPS = [{"model": name, "iterations": 90, "validation": 100} for name in ("vae", "gmvae")]
Score = Callable[[Cell], Row]


def make_space(**axes: Any) -> Space:
    """A space of axes as a grid has them."""
    return Space.model_validate(axes)


def make_grid(sweeps: list[dict[str, Any]] | None = None, **search: Any) -> Grid:
    """A grid of two models and two seeds, unless sweeps are given."""
    keys = {"trials": 4, "studies": 2, "space": SPACE, **search}
    return grid_file.validate(
        {"name": "tuned", "seeds": 2, "search": keys, "sweeps": sweeps or SWEEPS}
    )


def make_design(sweeps: list[dict[str, Any]] | None = None, **search: Any) -> Design:
    """The design of such a grid."""
    return Design(make_grid(sweeps, **search), registry.cards())


def score_by_id(cell: Cell) -> Row:
    """A row by the cell's id: some trials fail, some have no number, ties are common."""
    number = int(cell.id, 16) % 12
    if number == 0:
        return {"status": "failed", "validation_nelbo": None}
    if number == 1:
        return {"status": "ok", "validation_nelbo": float("nan")}
    if number == 2:
        return {"status": "ok", "validation_nelbo": None}
    return {"status": "ok", "validation_nelbo": float(number // 2)}


def complete(design: Design, score: Score = score_by_id) -> dict[str, Row]:
    """The rows after all due cells have been run, all of a stage at once."""
    rows: dict[str, Row] = {}
    while due := [cell for cell in design.list_due(rows) if cell.id not in rows]:
        rows |= {cell.id: score(cell) for cell in due}
    return rows
