"""Trials that a searcher of Ray Tune proposes are known by their rows alone."""

from dataclasses import replace
from typing import Any

import pytest

from harness.experiment.cell import Cell
from harness.search.design import Design
from harness.search.search import Search
from harness.search.studies import find_open_study
from harness.storage.schema import Row, describe_cell, make_row
from tests.unit.harness.search.worlds import SWEEPS, make_design

KEYS: dict[str, Any] = {
    "method": "tune",
    "scheduler": "ray.tune.schedulers.ASHAScheduler",
    "trials": 3,
}
POINTS = [{"learning_rate": rate, "settings.z": 5} for rate in (0.001, 0.002, 0.003, 0.004)]


def make_tuned(**keys: Any) -> Design:
    return make_design(SWEEPS[:1], **KEYS | keys)


def make_rows(*cells: Cell, values: tuple[float, ...] = (3.0, 1.0, 2.0)) -> dict[str, Row]:
    """A good row of each cell, finished in this order."""
    rows = [
        make_row(
            describe_cell(cell)
            | {"status": "ok", "validation_nelbo": value, "finished": f"2026-01-01T00:00:0{second}"}
        )
        for second, (cell, value) in enumerate(zip(cells, values, strict=False))
    ]
    return {row["cell"]: row for row in rows}


def make_trials(search: Search, study: int = 0) -> list[Cell]:
    return [search.make_trial(study, number, POINTS[number]) for number in range(3)]


def test_a_study_without_rows_is_open_and_knows_no_cell() -> None:
    design = make_tuned(studies=2)
    assert design.list_due({}) == []
    assert [(study.study, study.numbers) for study in design.list_open_studies({})] == [
        (0, (0, 1, 2)),
        (1, (0, 1, 2)),
    ]
    assert design.count_open({}) == 2 * (3 + 2)
    assert "open trials, whose points Ray Tune proposes: 6 in 2 studies" in (
        design.describe_outlook({})
    )


def test_only_numbers_without_a_row_are_left_and_the_others_are_told() -> None:
    design = make_tuned()
    (search,) = design.searches
    first, _, last = make_trials(search)
    open_study = find_open_study(search, 0, make_rows(first, last))
    assert open_study is not None
    assert open_study.numbers == (1,)
    assert open_study.known == [(POINTS[0], 3.0), (POINTS[2], 1.0)]


def test_a_trial_that_was_stopped_ends_a_study_but_wins_nothing_and_tells_nothing() -> None:
    design = make_tuned(studies=1)
    (search,) = design.searches
    first, second, third = make_trials(search)
    stopped = replace(second, iterations=30)
    rows = make_rows(first, stopped)
    open_study = find_open_study(search, 0, rows)
    assert open_study is not None
    assert [point for point, _ in open_study.known] == [POINTS[0]]
    rows = make_rows(first, stopped, third)
    assert find_open_study(search, 0, rows) is None
    assert search.find_winner(0, rows) == third  # the stopped one has the best value
    finals = [cell for cell in design.list_due(rows) if cell.stage == "final"]
    assert finals == [search.make_final(third, seed) for seed in (0, 1)]
    assert design.list_open_studies(rows) == []


def test_failed_trials_count_as_trials() -> None:
    (search,) = make_tuned(studies=1).searches
    rows = make_rows(*make_trials(search))
    rows = {name: {**row, "status": "failed"} for name, row in rows.items()}
    assert find_open_study(search, 0, rows) is None
    assert search.find_winner(0, rows) is None


def test_of_two_rows_of_one_number_the_first_counts() -> None:
    (search,) = make_tuned(studies=1).searches
    cells = make_trials(search)
    late = replace(cells[0], learning_rate=0.004)
    rows = make_rows(*cells, late, values=(3.0, 2.5, 2.0, 1.0))
    assert list(search.list_trials(0, rows).cells) == cells
    assert search.find_winner(0, rows) == cells[2]


def test_rows_of_other_studies_searches_and_lengths_are_no_trials() -> None:
    (search,) = make_tuned(studies=2).searches
    sweeps = [SWEEPS[0] | {"iterations": 180}, SWEEPS[1]]
    longer, other = make_design(sweeps, budget="free", **KEYS).searches
    named = make_tuned(searcher="ray.tune.search.optuna.OptunaSearch").searches[0]
    strangers = [
        *make_trials(search, study=1)[:1],
        *(each.make_trial(0, 0, POINTS[0]) for each in (longer, other, named)),
    ]
    rows = make_rows(*strangers, values=(1.0,) * 4)
    assert len(rows) == 4
    assert list(search.list_trials(0, rows).cells) == []


def test_more_trials_extend_a_study() -> None:
    (search,) = make_tuned(studies=1).searches
    (more,) = make_tuned(studies=1, trials=5).searches
    open_study = find_open_study(more, 0, make_rows(*make_trials(search)))
    assert open_study is not None
    assert open_study.numbers == (3, 4)


@pytest.mark.parametrize("method", ["random", "halving", "tpe"])
def test_a_study_of_the_harness_is_never_open(method: str) -> None:
    design = make_design(method=method)
    assert design.list_open_studies({}) == []
