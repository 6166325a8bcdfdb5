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


def score_costs(cells: Sequence[Cell], **values: Any) -> dict[Cell, float]:
    return score_timing.measure_score_costs(cells, SETS, EvaluationConfig(**values), threads=1)


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


def test_draws_of_an_importance_weighted_bound_are_counted(
    cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every image costs a second: 200 each of the bound, the samples and the classifier."""
    monkeypatch.setattr(
        score_timing, "measure_call_cost", lambda call: call_timing.CallCost(0.0, 1.0)
    )
    (plain,) = score_costs([cell("vae")], samples=200).values()
    (weighted,) = score_costs([cell("vae")], samples=200, iwae=(10, 100)).values()
    assert (plain, weighted) == (600.0, 600.0 + 200 * 100)
