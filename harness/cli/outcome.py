"""What a run prints at its end, and its exit code."""

from collections.abc import Mapping

from harness.cli.experiment import Experiment
from harness.cli.workload import read_rows
from harness.experiment.cell import Cell
from harness.experiment.grid import name_cells
from harness.monitoring import run_status
from harness.scheduling.plan import is_fully_scored
from harness.storage.schema import Row
from harness.storage.store import TABLE, Store


def finish_run(experiment: Experiment) -> int:
    """Print which cells of the grid are not done and where the table is; 0 if all are done."""
    store = experiment.store
    stored_rows = read_rows(store).rows
    cells = experiment.design.list_due(stored_rows)
    names = name_cells(cells)
    rows = {cell: stored_rows[cell.id] for cell in cells if cell.id in stored_rows}
    missing = [cell for cell in cells if cell not in rows]
    failed = [cell for cell, row in rows.items() if row["status"] != "ok"]
    unscored = [
        cell
        for cell, row in rows.items()
        if row["status"] == "ok" and not is_fully_scored(cell, row, experiment.evaluation)
    ]
    _print_failed(failed, names, rows)
    _print_unscored(unscored, names, rows, store)
    for cell in missing:
        print(f"missing: {names[cell]}")
    without_winner = _print_winners(experiment, stored_rows)
    done = len(cells) - len(failed) - len(missing)
    note = f", {len(unscored)} of them without a requested score" if unscored else ""
    counts = f"{len(failed)} failed, {len(missing)} missing"
    print(
        f"{done} of {len(cells)} cells done{note}, {counts}; results: {store.display_path(TABLE)}"
    )
    if failed:
        print("why: --log CELL; try the failed ones again with --resume failed")
    lost = [cell for cell in failed if not _is_spent_trial(cell, rows[cell])]
    return 1 if lost or missing or unscored or without_winner else 0


def _is_spent_trial(cell: Cell, row: Row) -> bool:
    """Whether a trial of a search diverged: a wide space has such points, and others win."""
    return cell.stage == "search" and row["status"] == "diverged"


def _print_winners(experiment: Experiment, rows: Mapping[str, Row]) -> int:
    """Print the winner of each study that has ended; how many studies have none."""
    without = 0
    for search, study, winner in experiment.design.list_winners(rows):
        name, metric = f"{search.base.model} study {study}", search.spec.metric
        if winner is None:
            without += 1
            print(f"no winner: {name}: no trial has {metric}, see their rows")
            continue
        point = search.describe_point(winner)
        value = f"{metric} {rows[winner.id][metric]:.5g}"
        print(f"winner: {name}: trial {winner.trial} of {search.spec.trials}, {point}, {value}")
    return without


def _print_failed(cells: list[Cell], names: Mapping[Cell, str], rows: Mapping[Cell, Row]) -> None:
    for cell in cells:
        print(f"{rows[cell]['status']}: {names[cell]}: {rows[cell]['error']}")


def _print_unscored(
    cells: list[Cell], names: Mapping[Cell, str], rows: Mapping[Cell, Row], store: Store
) -> None:
    for cell in cells:
        reason = rows[cell]["error"] or run_status.read_failure_reason(store, cell.id)
        print(f"not scored: {names[cell]}: {reason}; its row is kept")
