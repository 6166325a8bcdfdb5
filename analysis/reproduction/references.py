"""Published and measured values: those of references.yaml, and those of a user's file."""

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from analysis.frames.metrics import METRICS, EvaluationSet
from harness.errors import InputError, short_repr, unknown_name_error
from harness.experiment import yaml_file
from harness.experiment.cell import BATCH_SIZE, DATASET, LEARNING_RATE, Setting, Supervision

# Larger values, and values smaller than its inverse, are taken for typing errors.
MAX_VALUE = Decimal("1e12")
REFERENCES_FILE = Path(__file__).with_name("references.yaml")
FROZEN_CONFIG = ConfigDict(extra="forbid", frozen=True)


def _parse_printed(value: object) -> object:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str):
        raise ValueError(
            f"expected a figure in quotes, so that its decimals stay as printed; got "
            f"{short_repr(value)}"
        )
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"expected a figure such as '99.06', got {short_repr(value)}") from None
    if not number.is_finite():
        raise ValueError(f"expected a finite figure, got {short_repr(value)}")
    if abs(number) >= MAX_VALUE or (number and abs(number) < 1 / MAX_VALUE):
        raise ValueError(f"expected a figure of a size from 1e-12 to 1e12, got {short_repr(value)}")
    return number


def _check_metric_name(name: str) -> str:
    names = {metric.name for metric in METRICS}
    if name not in names:
        raise ValueError(str(unknown_name_error("metric", name, names)))
    return name


Printed = Annotated[Decimal, BeforeValidator(_parse_printed)]
Spread = Annotated[Decimal, BeforeValidator(_parse_printed), Field(gt=0)]
MetricName = Annotated[str, BeforeValidator(_check_metric_name)]
Origin = Literal["published", "measured"]


class Facts(BaseModel):
    """What is known of how a printed value came about, as far as its source says.

    binarization: of the training images
    estimator: of the loss: elbo, iw-K (importance weighting with K draws) or exact; or accuracy
    training_images: number of training images
    selection: whether the last weights were scored or those that were best on validation images
    spread_of: what the ± is over: runs, evaluations of one trained model, or unknown
    """

    model_config = FROZEN_CONFIG
    binarization: Literal["dynamic", "static", "none", "unknown"] = "unknown"
    estimator: Annotated[str, Field(pattern=r"^(elbo|iw-[1-9]\d*|exact|accuracy|unknown)$")] = (
        "unknown"
    )
    training_images: Annotated[int, Field(gt=0)] | None = None
    selection: Literal["last", "best on validation", "unknown"] = "unknown"
    spread_of: Literal["runs", "evaluations", "unknown"] = "unknown"

    def describe(self) -> str:
        """All that is known, for a table.

        >>> Facts(binarization="static", estimator="iw-200", spread_of="evaluations").describe()
        'static binarisation; iw-200; ± over evaluations of one model'
        """
        images = self.training_images
        known = {
            f"{self.binarization} binarisation": self.binarization not in ("unknown", "none"),
            self.estimator: self.estimator not in ("unknown", "accuracy"),
            f"{images:,} training images" if images else "": images is not None,
            f"weights: {self.selection}": self.selection != "unknown",
            "± over runs": self.spread_of == "runs",
            "± over evaluations of one model": self.spread_of == "evaluations",
        }
        return "; ".join(text for text, is_known in known.items() if is_known) or "not stated"


RUNS = Facts(spread_of="runs")


class PrintedValue(BaseModel):
    """A printed mean with its standard error, its standard deviation, both or neither."""

    model_config = FROZEN_CONFIG
    mean: Printed
    se: Spread | None = None
    sd: Spread | None = None

    @property
    def spread(self) -> tuple[Decimal | None, Literal["SE", "SD"]]:
        """The ± to print and its kind: the standard error, else the standard deviation."""
        return (self.sd, "SD") if self.se is None and self.sd is not None else (self.se, "SE")

    def standard_deviation(self, n: int | None) -> float:
        """The standard deviation of one run: as printed, or SE · √n; nan if neither is printed."""
        if self.sd is not None:
            return float(self.sd)
        return float(self.se) * math.sqrt(n) if self.se is not None and n else math.nan


class Protocol(BaseModel):
    """How an arm of a printed table was trained; the fields are those of `Cell`.

    label_draw: the list of labelled images that the printed rows share; empty if unknown.
    """

    model_config = FROZEN_CONFIG
    model: str
    settings: dict[str, Setting] = {}
    supervision: Supervision = "none"
    labels: int = 0
    label_draw: str = ""
    beta: float = 1.0
    dataset: str = DATASET
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE
    validation: Annotated[int, Field(ge=0)] = 0
    recipe: dict[str, Any] = {}


class Reference(BaseModel):
    """One printed row: values of one model on one evaluation set, with their source.

    A ± that is not one of runs is shown and never tested.
    """

    model_config = FROZEN_CONFIG
    name: str
    source: str
    origin: Origin
    table: str
    evaluation: EvaluationSet
    model: str
    supervision: Supervision = "none"
    labels: int = 0
    n: Annotated[int, Field(gt=0, lt=2**31)] | None
    figures: Annotated[dict[MetricName, PrintedValue], Field(min_length=1)]
    facts: Facts = RUNS
    note: str = ""

    @model_validator(mode="after")
    def _check_single_run(self) -> Self:
        if self.n == 1 and any(figure.spread[0] is not None for figure in self.figures.values()):
            raise ValueError(f"{self.name}, {self.table}: one run has no ±")
        return self

    def matches(self, arm: Protocol) -> bool:
        """Whether the row belongs to this arm."""
        return (self.model, self.supervision, self.labels) == (
            arm.model,
            arm.supervision,
            arm.labels,
        )


class ReferenceTable(BaseModel):
    """A table to print: its arms, its metrics, and its evaluation sets, with one table for each."""

    model_config = FROZEN_CONFIG
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    metrics: list[MetricName]
    evaluations: list[EvaluationSet]
    arms: list[Protocol]


class DigitCounts(BaseModel):
    """How often a classifier saw each digit, 0 to 9, in samples of one run's prior."""

    model_config = FROZEN_CONFIG
    name: str
    source: str
    origin: Origin
    model: str
    counts: Annotated[
        list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=10, max_length=10)
    ]
    note: str = ""

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if not any(self.counts):
            raise ValueError(f"{self.name}: no digit was counted; expected counts of 0 to 9")
        return self


class ContextValue(BaseModel):
    """A printed value that is shown but never tested against ours, and the reason why.

    models, dataset, metric: our arms that stand beside it. It is shown where there are any; without
        models, on every page that shows printed tables.
    """

    model_config = FROZEN_CONFIG
    name: str
    source: str
    quantity: str
    printed: str
    why: str
    facts: Facts = Facts()
    models: list[str] = []
    dataset: str = DATASET
    metric: MetricName | None = None


class Entries(BaseModel):
    """Contents of a user's file: printed rows and the tables that they belong to.

    margins: the difference below which a mean counts as reproduced, in the report's unit (nats, %).
    """

    model_config = FROZEN_CONFIG
    margins: dict[MetricName, Spread] = {}
    tables: list[ReferenceTable] = []
    references: list[Reference] = []
    digit_counts: list[DigitCounts] = []
    context: list[ContextValue] = []


class References(Entries):
    """All references; report_subset: checksum of the file that lists the images of that set."""

    report_subset: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        names = [table.name for table in self.tables]
        if len(set(names)) < len(names):
            raise ValueError(f"two tables have one name; names: {', '.join(names)}")
        for reference in self.references:
            self._check_placement(reference)
        return self

    def _check_placement(self, reference: Reference) -> None:
        """Refuse a row that no table, arm or column would show."""
        table = next((table for table in self.tables if table.name == reference.table), None)
        if table is None:
            raise ValueError(
                str(
                    unknown_name_error(
                        "table", reference.table, [table.name for table in self.tables]
                    )
                )
            )
        who, where = (
            f"{reference.name!r} in {table.name}",
            f"expected {', '.join(table.evaluations)}",
        )
        if reference.evaluation not in table.evaluations:
            raise ValueError(f"{who}: no such table on {reference.evaluation}; {where}")
        if not any(reference.matches(arm) for arm in table.arms):
            arms = "; ".join(
                f"{arm.model}, {arm.supervision}, {arm.labels} labels" for arm in table.arms
            )
            raise ValueError(
                f"{who}: no arm of the table is that model, supervision and labels; expected {arms}"
            )
        if not set(reference.figures) <= set(table.metrics):
            raise ValueError(f"{who}: the table shows {', '.join(table.metrics)} alone")

    def with_own(self, own: Entries) -> "References":
        """These references followed by a user's; the user's margins replace ours."""
        return References(
            report_subset=self.report_subset,
            margins=self.margins | own.margins,
            tables=[*self.tables, *own.tables],
            references=[*self.references, *own.references],
            digit_counts=[*self.digit_counts, *own.digit_counts],
            context=[*self.context, *own.context],
        )

    def for_table(self, table: str, evaluation: EvaluationSet) -> list[Reference]:
        """The references of one table on one evaluation set."""
        return [r for r in self.references if (r.table, r.evaluation) == (table, evaluation)]


def load(path: Path | None = None) -> References:
    """Load the references of the project, followed by those of a user's file.

    A printed value needs its kind of ±, n, evaluation set and source. A row of another evaluation
    set belongs under `context`, which is shown and never tested. Raises `InputError` for a file
    that cannot be read or is not valid.
    """
    shipped = _load_shipped(REFERENCES_FILE)
    if path is None:
        return shipped
    try:
        own = Entries.model_validate(_read_yaml(path))
        return shipped.with_own(own)
    except ValidationError as error:
        raise InputError(f"references {str(path)!r}: {_format_error(error)}") from None


@cache
def _load_shipped(path: Path) -> References:
    return References.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def _read_yaml(path: Path) -> dict[str, Any]:
    expected = f"expected a YAML file with the keys {', '.join(Entries.model_fields)}"
    try:
        keys = yaml_file.parse_yaml(path.read_bytes(), yaml.SafeLoader)
    except OSError as error:
        raise InputError(
            f"references {str(path)!r} cannot be read: {error.strerror}; {expected}"
        ) from None
    except ValueError as error:
        raise InputError(f"references {str(path)!r} is not YAML: {error}; {expected}") from None
    if not isinstance(keys, dict):
        raise InputError(f"references {str(path)!r} is no mapping; {expected}")
    return keys


def _format_error(error: ValidationError) -> str:
    """The first error in one line: key, what was expected, what was given."""
    first = error.errors()[0]
    where = _format_path(first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    got = (
        ""
        if first["type"] in ("missing", "value_error", "extra_forbidden")
        else f", got {short_repr(first['input'])}"
    )
    if first["type"] == "literal_error" and first["loc"][-1] == "evaluation":
        got += "; a row of another evaluation set goes under 'context', which is never tested"
    return " ".join(f"{where}{what[0].lower()}{what[1:]}{got}".split())


def _format_path(place: Iterable[int | str]) -> str:
    path = ".".join(str(part) for part in place)
    return f"{path}: " if path else ""
