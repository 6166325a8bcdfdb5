"""The cost of requested metrics is that of runs on few images, extrapolated; clocks are simulated.

Each test has a clock that moves only by what a metric says that its work takes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
import torch

from harness.evaluation.further_metrics import request_metrics
from harness.evaluation.inputs import MetricInputs
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry
from harness.plugins.dataset import Data, DataSpec
from harness.plugins.metric import ScoreGenerator, register_metric, registered_metrics
from harness.plugins.model import PIXELS, Encoding
from harness.scheduling import score_timing
from harness.scheduling.metric_timing import MAX_REFUSED_IMAGES, estimate_seconds, measure_metrics
from tests.conftest import CellMaker

TESTS, TRAIN, SAMPLES = 4000, 12_000, 2000
DATA = Data(
    "mnist",
    *(torch.zeros(TRAIN, PIXELS, dtype=torch.uint8), torch.arange(TRAIN) % 10),
    *(torch.zeros(TESTS, PIXELS, dtype=torch.uint8), torch.arange(TESTS) % 10),
    "",
    test_factors=torch.zeros(TESTS, 2, dtype=torch.long),
)


@dataclass
class Clock:
    """A clock that stands still, and the sizes of the runs that moved it."""

    now: float = 0.0
    sizes: list[tuple[int, ...]] = field(default_factory=list)

    def move(self, seconds: float, *sizes: int) -> None:
        self.now += seconds
        self.sizes.append(sizes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("harness.scheduling.call_timing.time.thread_time", lambda: made.now)
    return made


# --- extrapolation --------------------------------------------------------------------------------

TIMES: dict[str, tuple[Callable[[int], float], float]] = {
    "images": (lambda n: 0.001 * n, 1.0),
    "slow images": (lambda n: 0.7 * n, 1.0),
    "calls and images": (lambda n: 0.3 * -(-n // 1000) + 0.0004 * n, 1.05),
    "pairs": (lambda n: 1e-6 * n * n, 1.0),
    "images and pairs": (lambda n: 1e-4 * n + 1e-6 * n * n, 1.0),
    "slow images and pairs": (lambda n: 1e-2 * n + 1e-8 * n * n, 1.02),
}


@pytest.mark.parametrize(("seconds", "factor"), TIMES.values(), ids=TIMES.keys())
def test_a_time_is_extrapolated_from_few_images(
    seconds: Callable[[int], float], factor: float, clock: Clock
) -> None:
    found = estimate_seconds(lambda n: clock.move(seconds(n), n), 10_000)
    assert 1 / factor - 1e-9 <= found / seconds(10_000) <= factor + 1e-9


def test_images_are_doubled_until_a_run_is_long_and_all_are_not_exceeded(clock: Clock) -> None:
    def list_sizes(seconds: float, images: int) -> list[int]:
        clock.sizes.clear()
        estimate_seconds(lambda n: clock.move(seconds * n, n), images)
        return sorted({size for (size,) in clock.sizes})

    assert list_sizes(1e-4, 10_000)[-2:] == [2048, 4096]
    assert list_sizes(1e-3, 10_000)[-2:] == [256, 512]
    assert list_sizes(60.0, 10_000) == [2, 4]
    assert list_sizes(0.0, 3000)[-2:] == [2048, 3000]
    assert list_sizes(60.0, 1) == [1]


def test_what_all_images_took_is_no_extrapolation(clock: Clock) -> None:
    assert estimate_seconds(lambda n: clock.move(1e-6 * n, n), 3000) == pytest.approx(0.003)


def test_the_first_run_loads_and_is_not_timed(clock: Clock) -> None:
    def run(n: int) -> None:
        clock.move(1e-3 * n if clock.sizes else 50.0, n)

    assert estimate_seconds(run, 10_000) == pytest.approx(10.0)


def test_too_few_images_are_passed_over(clock: Clock) -> None:
    def run(n: int) -> None:
        if n < 20:
            raise ValueError("too few")
        clock.move(1e-3 * n, n)

    assert estimate_seconds(run, 10_000) == pytest.approx(10.0)
    assert min(clock.sizes) == (32,)


def test_a_metric_that_always_fails_costs_nothing_and_is_not_tried_on_many(clock: Clock) -> None:
    def run(n: int) -> None:
        clock.move(0.0, n)
        raise ValueError("never")

    assert estimate_seconds(run, 10_000) == 0.0
    assert max(clock.sizes) == (MAX_REFUSED_IMAGES,)
    assert estimate_seconds(run, 5) == 0.0


# --- the runs -------------------------------------------------------------------------------------


@pytest.fixture
def metrics() -> Iterator[None]:
    """Forget what a test registers."""
    registry.cards()  # imports the shipped ones
    before = dict(registered_metrics)
    yield
    registered_metrics.clear()
    registered_metrics.update(before)


def ask(*names: str, models: tuple[str, ...] = ("vae", "ssvae")) -> EvaluationConfig:
    """An evaluation with these optional metrics alone."""
    registry.cards()
    requests = [r for r in request_metrics(names, models) if r.metric in names]
    assert {request.metric for request in requests} == set(names)
    return EvaluationConfig(samples=SAMPLES, metrics=tuple(requests))


def register_timed(clock: Clock, name: str, most_images: int | None = None) -> None:
    """An optional metric of a second for 1,000 test images; it notes what it is given."""

    @register_metric(
        name, unit="", better=None, meaning="m", optional=True, most_images=most_images
    )
    def score(inputs: MetricInputs) -> float:
        shared = inputs.shared
        sizes = len(inputs.test_images), shared.evaluation.samples, len(shared.data.train_x)
        assert len(shared.data.test_y) == sizes[0]
        assert len(shared.data.train_y) == sizes[2]
        assert shared.data.test_factors is not None
        assert len(shared.data.test_factors) == sizes[0]
        clock.move(1e-3 * sizes[0], *sizes)
        return 0.0


@pytest.mark.usefixtures("metrics")
def test_a_run_has_test_images_samples_and_training_images_in_proportion(
    clock: Clock, cell: CellMaker
) -> None:
    register_timed(clock, "slow")
    assert measure_metrics(cell("vae"), DATA, ask("slow")) == pytest.approx(4.0)
    assert set(clock.sizes) == {(n, n // 2, 3 * n) for n in (2, 4, 8, 16, 32, 64, 128, 256, 512)}


@pytest.mark.usefixtures("metrics")
def test_a_metric_of_few_images_is_not_estimated_for_all(clock: Clock, cell: CellMaker) -> None:
    """At most 400 of both: their time is 0.4 s, and all training images are theirs."""
    register_timed(clock, "limited", most_images=400)
    assert measure_metrics(cell("vae"), DATA, ask("limited")) == pytest.approx(0.4)
    assert max(clock.sizes) == (400, 400, TRAIN)


@pytest.mark.usefixtures("metrics")
def test_metrics_add_up_in_the_cost_of_scoring(clock: Clock, cell: CellMaker) -> None:
    """Nothing else moves the clock: without metrics scoring takes no time."""
    register_timed(clock, "slow")
    register_timed(clock, "limited", most_images=400)

    def measure(one: Cell, evaluation: EvaluationConfig) -> float:
        (cost,) = score_timing.measure_score_costs(
            [one], {"mnist": DATA}, evaluation, 1, "auto"
        ).values()
        return cost

    assert measure(cell("vae"), ask()) == 0.0
    assert measure(cell("vae"), ask("slow", "limited")) == pytest.approx(4.4)
    supervised = cell("ssvae", supervision="supervised", label_draw="file-a")
    assert measure(supervised, ask("slow", "limited")) == 0.0
    assert measure(cell("vae"), ask("slow", models=("ssvae",))) == 0.0


@pytest.mark.usefixtures("metrics")
def test_a_metric_that_does_not_fit_is_not_run(clock: Clock, cell: CellMaker) -> None:
    register_timed(clock, "slow")
    timed = registered_metrics["slow"]
    evaluation = ask("slow")
    for change in ({"applies": lambda _: False}, {"needs": (Encoding, type(None))}):
        registered_metrics["slow"] = replace(timed, **change)
        assert measure_metrics(cell("vae"), DATA, evaluation) == 0.0
    assert clock.sizes == []


@pytest.mark.usefixtures("metrics")
def test_a_metric_that_fails_hides_no_other(clock: Clock, cell: CellMaker) -> None:
    register_timed(clock, "slow")
    register_metric("broken", unit="", better=None, meaning="m", optional=True)(lambda _: 1 / 0)
    assert measure_metrics(cell("vae"), DATA, ask("broken", "slow")) == pytest.approx(4.0)


@pytest.mark.usefixtures("metrics")
def test_a_run_may_write_draw_and_differentiate_and_leaves_nothing(
    clock: Clock, cell: CellMaker
) -> None:
    written: list[bytes | None] = []

    @register_metric("busy", unit="", better=None, meaning="m", optional=True)
    def score(inputs: MetricInputs) -> float:
        inputs.shared.store.write("samples/a.png", b"x")
        written.append(inputs.shared.store.read("samples/a.png"))
        assert inputs.shared.digit_classifier is not None
        x = torch.rand(3, requires_grad=True)
        (x.square().sum() * next(iter(inputs.model.parameters())).sum()).backward()
        clock.move(1.0)
        return 0.0

    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert measure_metrics(cell("vae"), DATA, ask("busy")) > 0
    assert torch.equal(torch.rand(1), expected)
    assert set(written) == {b"x"}


@pytest.mark.parametrize(
    "name",
    [
        *("fd_judge", "kd_judge", "manifolds", "memorisation", "active_units", "linear_probe"),
        *("knn_accuracy", "nelbo_se", "bits_per_dimension"),
    ],
)
@pytest.mark.usefixtures("clock")
def test_the_shipped_metrics_run_on_few_images(name: str, mnist: Data, cell: CellMaker) -> None:
    """None of them fails on all sizes, which would cost nothing."""
    runs: list[str] = []
    registry.cards()
    metric = registered_metrics[name]

    def score(inputs: MetricInputs) -> ScoreGenerator:
        values = yield from metric.score(inputs)
        runs.append(name)
        return values

    few = replace(mnist, test_x=mnist.test_x[:40], test_y=mnist.test_y[:40])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registered_metrics, name, replace(metric, compute=score))
        measure_metrics(cell("vae"), few, replace(ask(name), samples=40))
    assert len(runs) >= 4


def test_data_without_classes_have_no_judge(clock: Clock, cell: CellMaker) -> None:
    spec = DataSpec((1, 28, 28))
    assert measure_metrics(cell("vae"), replace(DATA, spec=spec), ask("fd_judge")) == 0.0
