"""Metrics by name: each is a registered function that scores a trained model.

    @register_metric("ink", unit="pixels", better=None, meaning="mean ink of samples")
    def score_ink(inputs: MetricInputs) -> float:
        return my_ink(inputs.model)

A metric fills columns of the results table (`harness.storage.schema`) or columns of its own, which
unit, better and meaning describe in the table. The function returns a number, or None where it is
not defined, or the values of several columns by name. A long computation is a generator: it yields
the share of the work that is done, 0 to 1, and may be stopped there. `inputs` is a
`harness.evaluation.inputs.MetricInputs`.
"""

import inspect
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import InputError
from harness.experiment.own_columns import Better as Better
from harness.experiment.own_columns import OwnColumn

# what a metric gives: a value of its only column, or values by column
Values = float | None | Mapping[str, Any]
# yields the share of the work that is done, 0 to 1, and returns columns of the row
ScoreGenerator = Generator[float, None, dict[str, Any]]
F = TypeVar("F", bound=Callable[[Any], Values | Generator[float, None, Any]])

RESERVED_NAMES = ("bound", "weights")  # scores that decide whether a cell has failed


def _has_bound(inputs: Any) -> bool:
    return bool(inputs.cell.has_bound)


def _describe_nothing(_: str) -> OwnColumn | None:
    return None


def _refuse_nothing() -> None:
    pass


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    name: unique among the metrics
    unit: of its values in the results table; empty for a number without a unit
    better: which direction is better; None where neither is
    meanings: the columns that it fills, with what each of them holds; an `OwnColumn` where its unit
        or direction are others
    family: describes further columns that it fills, whose names hold a number, by name
    needs: protocols of `harness.plugins.model` that a model must offer
    optional: whether it is computed only where a grid asks for it
    order: metrics with a lower order are computed first
    applies: whether it scores a cell, given its `MetricInputs`; by default where there is a bound
    label: its name in the progress display and in error messages, given the `MetricInputs`
    compute: the function
    check: InputError where it cannot be computed on this machine, such as for lack of a package;
        called before anything is trained
    most_images: at most so many test images and samples are looked at; for the estimate of its time
    """

    name: str
    unit: str
    better: Better | None
    meanings: Mapping[str, str | OwnColumn]
    family: Callable[[str], OwnColumn | None]
    needs: tuple[type, ...]
    optional: bool
    order: int
    applies: Callable[[Any], bool]
    label: Callable[[Any], str]
    compute: Callable[[Any], Values | Generator[float, None, Any]]
    check: Callable[[], None] = _refuse_nothing
    most_images: int | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it fills, without those of its family."""
        return frozenset(self.meanings)

    @property
    def is_further(self) -> bool:
        """Whether it is optional or of a plug-in, so that no row depends on its success."""
        return self.optional or self.compute.__module__.partition(".")[0] != "harness"

    @property
    def needs_bound(self) -> bool:
        """Whether it scores only cells with a bound."""
        return self.applies is _has_bound

    def describe(self, column: str) -> OwnColumn | None:
        """What a column holds; None for one that it does not fill."""
        meaning = self.meanings.get(column)
        if meaning is None:
            return self.family(column)
        return OwnColumn(self.unit, self.better, meaning) if isinstance(meaning, str) else meaning

    def fits(self, inputs: Any) -> bool:
        """Whether it scores the cell of these `MetricInputs`."""
        return all(isinstance(inputs.model, need) for need in self.needs) and self.applies(inputs)

    def score(self, inputs: Any) -> ScoreGenerator:
        """Its values by column, whatever form the function has."""
        values = self.compute(inputs)
        if isinstance(values, Generator):
            values = yield from values
        return dict(values) if isinstance(values, Mapping) else {self.name: values}


registered_metrics: dict[str, Metric] = {}  # by name


def register_metric(
    name: str,
    *,
    unit: str,
    better: Better | None,
    meaning: str = "",
    columns: Collection[str] | Mapping[str, str | OwnColumn] | None = None,
    family: Callable[[str], OwnColumn | None] = _describe_nothing,
    needs: Collection[type] = (),
    optional: bool = False,
    order: int = 100,
    applies: Callable[[Any], bool] = _has_bound,
    label: Callable[[Any], str] | None = None,
    check: Callable[[], None] = _refuse_nothing,
    most_images: int | None = None,
) -> Callable[[F], F]:
    """Function decorator: score cells with this function; the fields are those of `Metric`.

    `columns` is the name alone by default, `meaning` the first line of the function's docstring;
    where columns differ in meaning, `columns` gives it by name. InputError where the name cannot be
    one, or another module has taken it.
    """

    def add(compute: F) -> F:
        _check_registration(name, better, compute.__module__)
        filled = [name] if columns is None else columns
        text = meaning or (inspect.getdoc(compute) or "").partition("\n")[0]
        registered_metrics[name] = Metric(
            name,
            unit,
            better,
            filled if isinstance(filled, Mapping) else dict.fromkeys(filled, text),
            family,
            tuple(needs),
            optional,
            order,
            applies,
            label or (lambda _: name),
            compute,
            check,
            most_images,
        )
        return compute

    return add


def _check_registration(name: str, better: object, module: str) -> None:
    """Refuse a name that another module has taken or that is reserved, and an unknown direction."""
    taken = registered_metrics.get(name)
    if taken is not None and taken.compute.__module__ != module:
        raise InputError(
            f"metric name '{name}' is taken by {taken.compute.__module__}; expected another name"
        )
    if name in RESERVED_NAMES or better not in ("lower", "higher", None):
        raise InputError(
            f"metric '{name}' with better={better!r}; expected a name besides "
            f"{' and '.join(RESERVED_NAMES)}, and 'lower', 'higher' or None"
        )


def list_metrics() -> list[Metric]:
    """The registered metrics in the order in which they are computed."""
    return sorted(registered_metrics.values(), key=lambda metric: metric.order)
