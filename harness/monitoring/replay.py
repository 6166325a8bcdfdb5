"""Report results that are stored already to trackers, as if their run had just taken place."""

from collections.abc import Sequence
from typing import Any

from harness.errors import InputError
from harness.monitoring.tracking import NamedTracker, Tracking, make_tracked_run
from harness.storage.schema import cell_of
from harness.storage.store import Store
from harness.training.task import Update


def replay(store: Store, trackers: Sequence[NamedTracker]) -> list[NamedTracker]:
    """Pass the curves and rows of a store to trackers, each run's for itself.

    The trackers that took all of them: one that raises is left out with one line. InputError where
    there is no row.
    """
    rows = store.rows()
    if not rows:
        raise InputError(f"results {store.name!r} have no row; expected a finished run")
    records = {record["run"]: record for record in store.provenance()}
    left = list(trackers)
    for run in dict.fromkeys(row["run"] for row in rows.values()):
        cells = [cell_of(row) for row in rows.values() if row["run"] == run]
        record = records.get(run) or _make_record(run, rows[cells[0].id]["grid"])
        with Tracking(left, make_tracked_run(record, store, cells), store) as tracking:
            for cell in cells:
                tracking.on_update(Update(points=_read_points(store, cell.id), ended={cell.id: ""}))
        left = tracking.trackers
    return left


def _read_points(store: Store, cell: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The points of a cell's learning curve, without what is not known."""
    curve = store.curve(cell)
    if curve is None:
        return ()
    return tuple(
        (cell, {str(name): value for name, value in point.items() if value == value})
        for point in curve.to_dict("records")
    )


def _make_record(run: str, grid: str) -> dict[str, Any]:
    """The record of a run whose file is not there."""
    return {"run": run, "grid": {"name": grid}}
