"""Metrics by name: each is a registered function that scores a trained model.

    @register_metric("nll", unit="nats", better="lower")
    def score_nll(inputs: MetricInputs) -> ScoreGenerator:
        yield 1.0
        return {"nll": my_nll(inputs.model, inputs.shared.test_images)}

The columns must be columns of the results table (`harness.storage.schema`). `inputs` is a
`harness.evaluation.inputs.MetricInputs`.
"""

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from harness.errors import InputError

Better = Literal["lower", "higher"]

# yields the share of the work that is done, 0 to 1, and returns columns of the row
ScoreGenerator = Generator[float, None, dict[str, Any]]
F = TypeVar("F", bound=Callable[[Any], ScoreGenerator])


def _has_bound(inputs: Any) -> bool:
    return bool(inputs.cell.has_bound)


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    name: unique among the metrics
    unit: of its values in the results table; empty for a number without a unit
    better: which direction is better; None where neither is
    columns: the columns of the table that it fills
    order: metrics with a lower order are computed first
    applies: whether it scores a cell, given its `MetricInputs`; by default where there is a bound
    label: its name in the progress display and in error messages, given the `MetricInputs`
    compute: the function
    """

    name: str
    unit: str
    better: Better | None
    columns: frozenset[str]
    order: int
    applies: Callable[[Any], bool]
    label: Callable[[Any], str]
    compute: Callable[[Any], ScoreGenerator]


registered_metrics: dict[str, Metric] = {}  # by name


def register_metric(
    name: str,
    *,
    unit: str,
    better: Better | None,
    columns: Collection[str] | None = None,
    order: int = 100,
    applies: Callable[[Any], bool] = _has_bound,
    label: Callable[[Any], str] | None = None,
) -> Callable[[F], F]:
    """Function decorator: score cells with this function; the fields are those of `Metric`.

    `columns` is the name alone by default. InputError where another module has taken the name.
    """

    def add(compute: F) -> F:
        taken = registered_metrics.get(name)
        if taken is not None and taken.compute.__module__ != compute.__module__:
            raise InputError(
                f"metric name '{name}' is taken by {taken.compute.__module__}; "
                f"expected another name"
            )
        filled = frozenset([name] if columns is None else columns)
        text = label or (lambda _: name)
        registered_metrics[name] = Metric(name, unit, better, filled, order, applies, text, compute)
        return compute

    return add


def list_metrics() -> list[Metric]:
    """The registered metrics in the order in which they are computed."""
    return sorted(registered_metrics.values(), key=lambda metric: metric.order)
