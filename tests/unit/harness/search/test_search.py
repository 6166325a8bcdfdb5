"""Trials, rungs and winners of one search."""

from dataclasses import replace
from typing import Any

import pytest

from harness.experiment.cell import Cell
from harness.experiment.search.spec import SearchSpec
from harness.search.search import Search, has_ended, list_rungs, rank, score
from tests.unit.harness.search.worlds import complete, make_design


def find_search(**keys: Any) -> Search:
    return make_design(**keys).searches[0]


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        ("ok", 3.5, 3.5),
        ("ok", None, None),
        ("ok", float("nan"), None),
        ("ok", float("inf"), None),
        ("failed", 3.5, None),
        ("diverged", 3.5, None),
    ],
)
def test_only_a_finite_value_of_a_good_row_is_a_score(
    status: str, value: float | None, expected: float | None
) -> None:
    row = {"status": status, "validation_nelbo": value}
    assert score(row, "validation_nelbo") == expected
    assert score(None, "validation_nelbo") is None


def test_accuracies_are_maximised_and_bounds_minimised() -> None:
    cells = [Cell("vae", 0, 9, stage="search", trial=trial) for trial in range(3)]
    values = dict(zip(cells, (0.2, 0.9, 0.5), strict=True))
    for metric, best in (("validation_accuracy", 1), ("validation_nelbo", 0)):
        rows = {cell.id: {"status": "ok", metric: value} for cell, value in values.items()}
        assert rank(cells, rows, metric)[0].trial == best


def test_ties_go_to_the_lower_trial_whatever_the_order() -> None:
    cells = [Cell("vae", 0, 9, stage="search", trial=trial) for trial in range(12)]
    rows = {cell.id: {"status": "ok", "validation_nelbo": 1.0} for cell in cells}
    assert [cell.trial for cell in rank(cells[::-1], rows, "validation_nelbo")] == list(range(12))


def test_trials_share_the_seed_of_their_study_and_winners_have_others() -> None:
    search = find_search()
    trials = [search.make_trial(study, trial) for study in (0, 3) for trial in (0, 5)]
    assert [cell.seed for cell in trials] == [9999, 9999, 39999, 39999]
    final = search.make_final(trials[3], 2)
    assert (final.stage, final.seed, final.study, final.trial) == ("final", 30002, 3, 5)
    assert replace(final, stage="search", seed=39999) == trials[3]


def test_a_search_that_is_extended_keeps_its_trials() -> None:
    small, large = make_design(trials=3, studies=1), make_design(trials=9, studies=4)
    ids = [{cell.id for cell in design.list_due({})} for design in (small, large)]
    assert ids[0] < ids[1]


def test_models_of_a_study_have_the_same_points() -> None:
    vae, gmvae = make_design().searches
    for trial in range(4):
        one, other = vae.make_trial(1, trial), gmvae.make_trial(1, trial)
        assert one.learning_rate == other.learning_rate
        assert dict(one.settings)["z"] == dict(other.settings)["z"]


@pytest.mark.parametrize(
    ("trials", "eta", "rungs", "iterations", "expected"),
    [
        (9, 3, 3, 900, [(9, 100), (3, 300), (1, 900)]),
        (8, 2, 4, 1000, [(8, 125), (4, 250), (2, 500), (1, 1000)]),
        (4, 3, 3, 10, [(4, 2), (1, 4), (1, 10)]),
        (1, 2, 2, 1, [(1, 1), (1, 1)]),
    ],
)
def test_rungs(
    trials: int, eta: int, rungs: int, iterations: int, expected: list[tuple[int, int]]
) -> None:
    spec = SearchSpec(trials=trials, method="halving", eta=eta, rungs=rungs)
    assert list_rungs(spec, iterations) == expected


def test_a_rung_goes_on_with_the_best_of_the_one_before() -> None:
    search = find_search(method="halving", trials=9)
    cells = search.list_trials(0, {}).cells
    assert [(cell.rung, cell.iterations) for cell in cells] == [(0, 10)] * 9
    rows = {
        cell.id: {"status": "ok", "validation_nelbo": float((cell.trial * 4) % 9)} for cell in cells
    }
    second = search.list_trials(0, rows).cells[9:]
    assert [(cell.trial, cell.rung, cell.iterations) for cell in second] == [
        (0, 1, 30),
        (7, 1, 30),
        (5, 1, 30),
    ]
    assert [cell.state_id for cell in second] == [cells[trial].state_id for trial in (0, 7, 5)]
    assert search.find_winner(0, rows) is None


def test_a_winner_of_halving_has_the_full_length() -> None:
    design = make_design(method="halving", trials=9)
    rows = complete(design, lambda cell: {"status": "ok", "validation_nelbo": cell.rung + 1.0})
    winners = [winner for _, _, winner in design.list_winners(rows)]
    assert all(winner is not None and winner.iterations == 90 for winner in winners)
    assert all(winner is not None and winner.trial == 0 for winner in winners)


def test_a_rung_whose_trials_all_failed_ends_the_study() -> None:
    search = find_search(method="halving", trials=9)
    cells = search.list_trials(0, {}).cells
    trials = search.list_trials(0, {cell.id: {"status": "failed"} for cell in cells})
    assert (len(trials.cells), trials.complete) == (9, True)


@pytest.mark.parametrize("method", ["random", "halving", "tpe"])
def test_failed_trials_lose_and_others_win(method: str) -> None:
    design = make_design(method=method, trials=9)

    def fail_the_first(cell: Cell) -> dict[str, object]:
        return {"status": "failed"} if cell.trial < 5 else {"status": "ok", "validation_nelbo": 1.0}

    winners = [winner for _, _, winner in design.list_winners(complete(design, fail_the_first))]
    assert [winner and winner.trial for winner in winners] == [5] * 4


@pytest.mark.parametrize("method", ["random", "halving", "tpe"])
def test_a_model_without_good_trials_has_no_winner_and_others_go_on(method: str) -> None:
    design = make_design(method=method, trials=9)

    def fail_gmvae(cell: Cell) -> dict[str, object]:
        good = {"status": "ok", "validation_nelbo": 1.0}
        return {"status": "failed"} if cell.model == "gmvae" else good

    rows = complete(design, fail_gmvae)
    winners = design.list_winners(rows)
    assert [(s.base.model, winner is None) for s, _, winner in winners] == [
        ("vae", False),
        ("vae", False),
        ("gmvae", True),
        ("gmvae", True),
    ]
    finals = [cell for cell in design.list_due(rows) if cell.stage == "final"]
    assert [cell.model for cell in finals] == ["vae"] * 4
    assert design.count_open(rows) == 0


@pytest.mark.parametrize("method", ["random", "halving", "tpe"])
def test_a_search_that_has_not_ended_has_no_winner(method: str) -> None:
    search = find_search(method=method)
    cells = search.list_trials(0, {}).cells
    rows = {cell.id: {"status": "ok", "validation_nelbo": 1.0} for cell in cells[1:]}
    assert not has_ended(cells, rows)
    assert search.find_winner(0, rows) is None


def test_each_study_may_draw_its_own_validation_images() -> None:
    shared, drawn = find_search(), find_search(split="study")
    assert [shared.make_trial(study, 1).split for study in range(3)] == [0, 0, 0]
    assert [drawn.make_trial(study, 1).split for study in range(3)] == [0, 1, 2]
    final = drawn.make_final(drawn.make_trial(2, 1), 0)
    assert final.split == 2
    assert drawn.owns(final)
    assert not shared.owns(final)
    assert drawn.make_trial(1, 0).pack_key != drawn.make_trial(2, 0).pack_key
    assert shared.make_trial(1, 0).pack_key == shared.make_trial(2, 0).pack_key
