"""The cost of a step is measured once per kind, with a trial's threads; clocks are simulated."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import PIXELS
from harness.scheduling import call_timing, step_timing
from harness.scheduling.step_timing import (
    COMPILED_CELL_SHARE,
    COMPILED_OVERHEAD_SHARE,
    GPU_DOUBLING_CELLS,
    LONG_STEP_SECONDS,
    MAX_COMPILED_KINDS,
    MIN_SECONDS_TO_COMPILE,
    PROBE_CELLS,
    TIMED_STEPS,
    assumed_gpu_cost,
)
from harness.training.compilation import MIN_STEPS_TO_COMPILE
from harness.training.task import Cost
from harness.training.trainer import PackTrainer
from tests.conftest import CellMaker

IMAGES, CLASSES = torch.zeros(200, PIXELS, dtype=torch.uint8), torch.arange(200) % 10
SETS = {"mnist": Data("mnist", IMAGES, CLASSES, IMAGES, CLASSES, "")}
LISTED = (3, 4)


def costs(
    cells: Sequence[Cell], threads: int = 1, gpu: bool = False, mode: Compile = "never"
) -> dict[Cell, Cost]:
    return step_timing.measure_step_costs(cells, SETS, LISTED, threads, gpu, mode)


@pytest.fixture
def quick(cell: CellMaker) -> list[Cell]:
    """Cells of the fastest kind."""
    return [cell("ssvae", seed, supervision="supervised", label_draw="file-a") for seed in range(2)]


@pytest.fixture
def two_kinds(cell: CellMaker) -> list[Cell]:
    """Six cells of one kind and one of another."""
    return [
        *(cell("vae", seed) for seed in range(6)),
        cell("ssvae", supervision="supervised", label_draw="file-a"),
    ]


def measured(monkeypatch: pytest.MonkeyPatch, one: float, several: float, *compiled: float) -> None:
    """Fix the seconds of a step: of one cell, of several, and compiled."""
    later = iter(compiled)

    def seconds(packs: Sequence[PackTrainer | None]) -> list[float]:
        return [
            next(later) if pack is None else one if len(pack.cells) == 1 else several
            for pack in packs
        ]

    monkeypatch.setattr(step_timing, "time_steps", seconds)
    monkeypatch.setattr(step_timing, "LONG_STEP_SECONDS", math.inf)


# --- what is measured -----------------------------------------------------------------------------


def test_each_kind_is_measured_once_alone_and_a_few_cells_together(
    two_kinds: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    met = meetings(monkeypatch, LONG_STEP_SECONDS)
    vaes, one = tuple(two_kinds[:-1]), tuple(two_kinds[-1:])
    assert set(costs(two_kinds)) == {vaes[0].pack_key, one[0].pack_key}
    assert met == [[vaes[:1]], [vaes[:1], vaes[:PROBE_CELLS]], [one]]


def test_what_takes_a_cpu_long_alone_is_not_measured_together(
    two_kinds: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    met = meetings(monkeypatch, LONG_STEP_SECONDS * 1.01)
    vaes = tuple(two_kinds[:-1])
    assert costs(vaes) == {vaes[0].pack_key: Cost(0.0, LONG_STEP_SECONDS * 1.01)}
    assert met == [[vaes[:1]]]


def meetings(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[list[tuple[Cell, ...]]]:
    """The cells of packs that are timed in turn."""
    met: list[list[tuple[Cell, ...]]] = []

    def meet(packs: Sequence[PackTrainer]) -> list[float]:
        met.append([pack.cells for pack in packs])
        return [seconds] * len(packs)

    monkeypatch.setattr(step_timing, "time_steps", meet)
    return met


def test_a_step_is_timed_with_the_threads_of_a_trial(
    quick: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards torch has its own number of threads again."""
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    threads: set[int] = set()
    original = PackTrainer.train_step

    def told(pack: PackTrainer) -> None:
        threads.add(torch.get_num_threads())
        original(pack)

    monkeypatch.setattr(PackTrainer, "train_step", told)
    (found,) = costs(quick, threads=2).values()
    assert threads == {2}
    assert torch.get_num_threads() == 1
    assert found.step_seconds(1) > 0


def test_no_more_threads_than_cpus_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial may be for larger machines than this one."""
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    with call_timing.trial_threads(1000):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 1


def test_torch_has_its_own_threads_again_where_a_pack_raises(
    quick: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PackTrainer, "train_step", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        costs(quick, threads=2)
    assert torch.get_num_threads() == 1


class Scripted:
    """A pack whose steps take the given seconds on a simulated clock."""

    device = torch.device("cpu")

    def __init__(self, now: list[float], order: list[str], name: str, seconds: Sequence[float]):
        self.now, self.order, self.name, self.seconds = now, order, name, iter(seconds)

    def train_step(self) -> None:
        self.order.append(self.name)
        self.now[0] += next(self.seconds)


def test_packs_are_timed_in_turn_and_the_fastest_step_of_each_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, order = [0.0], list[str]()
    monkeypatch.setattr("harness.scheduling.step_timing.time.thread_time", lambda: now[0])
    packs: list[Any] = [
        Scripted(now, order, "a", [9, 3, 5, 4, 8]),
        Scripted(now, order, "b", [7, 7, 7, 2, 6]),
    ]
    assert step_timing.time_steps(packs) == [3, 2]
    assert order == ["a", "b"] * TIMED_STEPS


def test_no_cells_cost_nothing() -> None:
    assert costs([]) == {}


# --- the arithmetic -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "several", "expected"),
    [
        (1.0, 2.5, Cost(0.5, 0.5)),
        (1.0, 1.0, Cost(0.875, 0.125)),
        (1.0, 0.8, Cost(0.9, 0.1)),
        (1.0, 7.0, Cost(0.0, 2.0)),
        (1.0, 4.0, Cost(0.0, 1.0)),
    ],
    ids=[
        "shares half",
        "shares all",
        "noise: several are faster",
        "several are slower than alone",
        "shares nothing",
    ],
)
def test_the_cost_of_a_step_is_a_line_through_one_cell_and_several(
    one: float, several: float, expected: Cost, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell("vae", seed) for seed in range(5)]
    measured(monkeypatch, one, several)
    (found,) = costs(cells).values()
    assert (found.fixed, found.per_cell) == pytest.approx((expected.fixed, expected.per_cell))


def test_a_cell_that_is_alone_shares_nothing(
    cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, 1.0, 1.2)
    assert costs([cell("vae")]) == {cell("vae").pack_key: Cost(0.0, 1.0)}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_whatever_is_measured_costs_are_positive_and_those_of_one_cell_no_less(
    count: int, cell: CellMaker
) -> None:
    cells = [
        cell("ssvae", seed, supervision="supervised", label_draw="file-a") for seed in range(count)
    ]

    @given(st.floats(1e-5, 10), st.floats(1e-5, 10))
    def holds(one: float, several: float) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                step_timing,
                "PackTrainer",
                lambda cells, *_: SimpleNamespace(cells=cells, device=torch.device("cpu")),
            )
            measured(patch, one, several)
            (cost,) = costs(cells).values()
        assert cost.fixed >= 0
        assert cost.per_cell > 0
        assert cost.step_seconds(1) >= one * (1 - 1e-9)

    holds()


# --- compiled -------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Compile]]:
    """The sizes and modes of the packs that were compiled."""
    seen: list[tuple[int, Compile]] = []

    def prepare(cells: Sequence[Cell], *args: object, mode: Compile) -> None:
        seen.append((len(cells), mode))

    monkeypatch.setattr(step_timing, "make_trainer", prepare)
    return seen


@pytest.mark.parametrize(("iterations", "worth"), [(178, False), (179, True)])
def test_an_estimate_is_compiled_only_for_trainings_that_are_worth_it(
    iterations: int,
    worth: bool,
    cell: CellMaker,
    compiled: list[tuple[int, Compile]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step takes an estimated 1.685 s compiled, so 179 steps exceed 300 s."""
    assert (COMPILED_OVERHEAD_SHARE, COMPILED_CELL_SHARE) == (0.25, 0.78)
    assert MIN_SECONDS_TO_COMPILE == 300
    measured(monkeypatch, 1.0, 2.5, 1.685 / 2)
    cells = [cell("vae", seed, iterations) for seed in range(4)]
    (found,) = costs(cells, mode="always").values()
    assert compiled == [(PROBE_CELLS, "always")] * worth
    expected = (0.0625, 0.195) if worth else (0.125, 0.39)
    assert (found.fixed, found.per_cell) == pytest.approx(expected)


def test_many_cells_are_worth_what_few_are_not(
    cell: CellMaker, compiled: list[tuple[int, Compile]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, 1.0, 2.5, 2.5)
    costs([cell("vae", seed, 90) for seed in range(8)], mode="always")
    assert compiled == [(PROBE_CELLS, "always")]


def test_a_training_that_will_not_be_compiled_is_not_compiled_for_its_estimate(
    cell: CellMaker, compiled: list[tuple[int, Compile]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, 1000.0, 2500.0)
    costs([cell("vae", seed, MIN_STEPS_TO_COMPILE - 1) for seed in range(4)], mode="auto")
    assert compiled == []


def test_of_many_long_kinds_the_dearest_are_compiled_and_the_others_gain_no_more_than_they_do(
    cell: CellMaker, compiled: list[tuple[int, Compile]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kinds differ in their latent dimension; one is too short to compile."""
    steps = {1: 1000, 2: 4000, 3: 3000, 4: 2000, 5: 1}
    cells = {z: cell("vae", 0, length, settings={"z": z}) for z, length in steps.items()}
    assert MAX_COMPILED_KINDS == 2
    measured(monkeypatch, 1.0, 1.0, 0.5, 0.8)
    found = costs(list(cells.values()), mode="always")
    assert {z: found[one.pack_key].per_cell for z, one in cells.items()} == pytest.approx(
        {1: 0.8, 2: 0.5, 3: 0.8, 4: 0.8, 5: 0.78}
    )
    assert compiled == [(1, "always")] * 2


# --- GPUs -----------------------------------------------------------------------------------------


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(("gpu", "assumed"), [(True, assumed_gpu_cost), (False, lambda cost: cost)])
def test_gpus_that_are_not_here_are_assumed_to_share_nearly_all(
    gpu: bool, assumed: Callable[[Cost], Cost], cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, 1.0, 2.5)
    cells = [cell("vae", seed) for seed in range(4)]
    assert costs(cells, gpu=gpu) == {cells[0].pack_key: assumed(Cost(0.5, 0.5))}


def test_on_an_assumed_gpu_one_cell_takes_what_it_took_and_a_hundred_twice_that() -> None:
    cost = assumed_gpu_cost(Cost(0.5, 0.5))
    assert GPU_DOUBLING_CELLS == 100
    assert cost.step_seconds(1) == pytest.approx(1.0)
    assert cost.step_seconds(100) == pytest.approx(1.99)


def test_what_cells_of_a_pack_share_is_a_cell_that_builds(cell: CellMaker) -> None:
    shared = cell("vae", 3, beta=4.0).pack_key
    assert shared == replace(cell("vae"), learning_rate=1.0)
    assert registry.build(shared) is not None
