"""The cost of scoring: what is called, and how often; clocks are simulated."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins.dataset import Data
from harness.plugins.model import PIXELS
from harness.scheduling import call_timing, score_timing
from tests.conftest import CellMaker

IMAGES, CLASSES = torch.zeros(200, PIXELS, dtype=torch.uint8), torch.arange(200) % 10
SETS = {"mnist": Data("mnist", IMAGES, CLASSES, IMAGES, CLASSES, "")}


@pytest.fixture
def two_kinds(cell: CellMaker) -> list[Cell]:
    """Six cells of one kind and one of another."""
    return [
        *(cell("vae", seed) for seed in range(6)),
        cell("ssvae", supervision="supervised", label_draw="file-a"),
    ]


@pytest.fixture
def second_per_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call takes a second an image."""
    monkeypatch.setattr(
        score_timing, "measure_call_cost", lambda call: call_timing.CallCost(0.0, 1.0)
    )


def score_costs(cells: Sequence[Cell], **values: Any) -> dict[Cell, float]:
    evaluation = EvaluationConfig(**values)
    return score_timing.measure_score_costs(cells, SETS, evaluation, threads=1, mode="auto")


def test_the_scoring_of_every_kind_has_a_price(two_kinds: list[Cell]) -> None:
    found = score_costs(two_kinds, samples=200)
    assert set(found) == {cell.pack_key for cell in two_kinds}
    assert all(seconds > 0 for seconds in found.values())


def test_calls_and_images_are_priced_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call takes 2 s and 0.1 s an image."""
    monkeypatch.setattr(call_timing, "SLOW_CALL_SECONDS", 60.0)
    monkeypatch.setattr(call_timing, "time_call", lambda call, images: 2.0 + 0.1 * images)
    price = call_timing.measure_call_cost(lambda images: None)
    assert price.total_seconds(10_000, 1000) == pytest.approx(10 * 2.0 + 10_000 * 0.1)
    assert price.total_seconds(10_001, 1000) == pytest.approx(11 * 2.0 + 10_001 * 0.1)


def test_a_slow_call_is_made_once_and_priced_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    times = iter([0.0, 100.0])
    monkeypatch.setattr("harness.scheduling.call_timing.time.thread_time", lambda: next(times))
    assert call_timing.measure_call_cost(calls.append) == (100.0, 0.0)
    assert calls == [call_timing.FEW_IMAGES]


def test_of_a_few_calls_the_fastest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of 0.5, 0.1, 0.1, 0.2 and 0.1 s are the five that are made."""
    clock = iter([0.0, 0.5, 1.0, 1.1, 2.0, 2.1, 3.0, 3.2, 4.0, 4.1])
    monkeypatch.setattr("harness.scheduling.call_timing.time.thread_time", lambda: next(clock))
    assert call_timing.time_call(lambda images: None, 1) == pytest.approx(0.1)
    assert next(clock, None) is None


@pytest.mark.usefixtures("second_per_image")
def test_draws_of_an_importance_weighted_bound_are_counted(cell: CellMaker) -> None:
    """Every image costs a second: 200 each of the bound, the samples and the classifier."""
    (plain,) = score_costs([cell("vae")], samples=200).values()
    (weighted,) = score_costs([cell("vae")], samples=200, iwae=(10, 100)).values()
    assert (plain, weighted) == (600.0, 600.0 + 200 * 100)


@pytest.mark.usefixtures("second_per_image")
def test_the_scores_of_the_learning_curve_are_counted(cell: CellMaker) -> None:
    """Every image costs a second; a training of 500 steps has five points with scores."""
    supervised = {"supervision": "supervised", "label_draw": "file-a"}
    cells = [
        cell("vae", iterations=500),
        cell("vae", iterations=500, validation=40),
        cell("ssvae", iterations=500, **supervised),
        cell("ssvae", iterations=500, validation=40, **supervised),
    ]
    found = [score_costs([one], samples=200)[one.pack_key] for one in cells]
    assert found == [600.0, 600.0 + 5 * 40, 200.0 + 5 * 200, 200.0 + 5 * 40]


@pytest.mark.usefixtures("second_per_image")
def test_compiled_importance_weights_are_measured_for_the_kind_that_has_most(
    cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_timing, "should_compile", lambda *_: True)
    measured: list[Cell] = []

    def measure_quarter(kind: Cell, eager: float) -> float:
        measured.append(kind)
        assert eager == 1000.0
        return 0.25

    monkeypatch.setattr(score_timing, "_measure_compiled_share", measure_quarter)
    few, many = [cell("vae")], [cell("gmvae", seed) for seed in range(2)]
    found = score_costs([*few, *many], samples=200, iwae=(10,))
    assert measured == [many[0].pack_key]
    assert set(found.values()) == {600.0 + 0.25 * 200 * 10}


@pytest.mark.parametrize("compiles", [True, False])
def test_a_block_that_cannot_be_compiled_gains_nothing(
    compiles: bool, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiled block takes a second."""
    block = object() if compiles else None
    monkeypatch.setattr(score_timing, "compile_block", lambda *_: block)
    monkeypatch.setattr(score_timing, "time_call", lambda call, draws: 1.0)
    share = score_timing._measure_compiled_share(cell("vae").pack_key, 4.0)
    assert share == (0.25 if compiles else 1.0)


@pytest.mark.usefixtures("second_per_image")
def test_a_block_that_fails_costs_what_it_takes_before(
    cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_timing, "should_compile", lambda *_: True)
    monkeypatch.setattr(score_timing, "compile_block", lambda *_: 1 / 0)
    (found,) = score_costs([cell("vae")], samples=200, iwae=(10,)).values()
    assert found == 600.0 + 200 * 10
