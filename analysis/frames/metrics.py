"""The metrics of a report: column of the results table, heading, unit and evaluation set.

Those that every table may have are listed here. The rows describe the others, which metrics of
plug-ins and optional ones bring along.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.rendering.numbers import choose_decimals
from harness.experiment.metrics import IWAE_SAMPLES, count_draws
from harness.experiment.own_columns import (
    OWN_COLUMNS,
    Better,
    OwnColumn,
    parse_descriptions,
)

EvaluationSet = Literal["test", "report_subset"]
# "own": the metric decides what it is computed from
Scope = EvaluationSet | Literal["validation", "own"]
COLUMN_PREFIXES: dict[EvaluationSet, str] = {"test": "", "report_subset": "subset_"}
BOUND_METRICS = ("nelbo", "kl", "rec")
# Less of one part of the bound is more of the other: neither lower nor higher is better.
BOUND_PARTS = ("kl", "rec")
EVALUATION_SET_NAMES: dict[Scope, str] = {
    "test": "the test images",
    "validation": "the validation images",
    "report_subset": "report_subset (the listed images)",
}


@dataclass(frozen=True)
class Metric:
    """A column of the results table; its values times `factor` are in `unit`.

    better: which direction is better; None where neither is
    meaning: what the column holds, of a metric that the rows describe
    """

    column: str
    name: str
    title: str
    unit: str
    evaluation: Scope
    factor: float = 1.0
    better: Better | None = "lower"
    meaning: str = ""

    @property
    def heading(self) -> str:
        """Title and unit: `NELBO (nats)`."""
        return add_unit(self.title, self.unit)

    @property
    def title_with_set(self) -> str:
        """Title and evaluation set: `NELBO on the test images`."""
        image_set = EVALUATION_SET_NAMES.get(self.evaluation)
        return self.title if image_set is None else f"{self.title} on {image_set}"

    def count_decimals(self, values: Iterable[float]) -> int:
        """Decimals of a table of these values: two, or what an own column needs."""
        return choose_decimals(values) if self.evaluation == "own" else 2

    @property
    def difference_unit(self) -> str:
        """Unit of the difference of two values in `unit`: points where that is %."""
        return "points" if self.unit == "%" else self.unit


def add_unit(text: str, unit: str) -> str:
    """A heading with its unit in brackets, where there is one.

    >>> add_unit("NELBO", "nats"), add_unit("density", "")
    ('NELBO (nats)', 'density')
    """
    return f"{text} ({unit})" if unit else text


def _make_bound_metrics(evaluation: EvaluationSet) -> list[Metric]:
    titles = {"nelbo": "NELBO", "kl": "KL", "rec": "Reconstruction"}
    titles |= {f"iwae_{k}": _title_iwae(k) for k in IWAE_SAMPLES}
    return [
        Metric(
            COLUMN_PREFIXES[evaluation] + name,
            name,
            title,
            "nats",
            evaluation,
            better=None if name in BOUND_PARTS else "lower",
        )
        for name, title in titles.items()
    ]


def _title_iwae(draws: int) -> str:
    return f"IWAE bound, {draws:,} draws"


NLL = Metric("nll", "nll", "Exact −log p(x)", "nats", "test")
ACCURACY = Metric("accuracy", "accuracy", "Accuracy", "%", "test", factor=100.0, better="higher")
VALIDATION_NELBO = Metric("validation_nelbo", "validation_nelbo", "NELBO", "nats", "validation")
VALIDATION_ACCURACY = Metric(
    "validation_accuracy",
    "validation_accuracy",
    "Accuracy",
    "%",
    "validation",
    factor=100.0,
    better="higher",
)
# of two arms; no column of the results table
GAIN = Metric("gain", "gain", "Gain in accuracy", "%", "test", factor=100.0, better="higher")
METRICS: tuple[Metric, ...] = (
    *_make_bound_metrics("test"),
    NLL,
    ACCURACY,
    VALIDATION_NELBO,
    VALIDATION_ACCURACY,
    *_make_bound_metrics("report_subset"),
)
METRIC_BY_COLUMN = {metric.column: metric for metric in METRICS}


def describe_metrics(rows: pd.DataFrame) -> dict[str, Metric]:
    """Results table -> all its metrics by column: `METRICS`, then those that the rows describe.

    Of two descriptions of one column, that of the later row in the table counts.
    """
    texts = rows[OWN_COLUMNS].dropna().unique() if OWN_COLUMNS in rows else ()
    own: dict[str, OwnColumn] = {}
    for text in texts:
        own |= parse_descriptions(text)
    return METRIC_BY_COLUMN | {name: make_own_metric(name, own[name]) for name in sorted(own)}


def make_own_metric(column: str, described: OwnColumn) -> Metric:
    """The metric of a column that rows describe: of a bound with its title, else the column's."""
    draws, unit, better = count_draws(column), described.unit, described.better
    if draws is None:
        return Metric(column, column, column, unit, "own", better=better, meaning=described.meaning)
    evaluation: EvaluationSet = "report_subset" if column.startswith("subset_") else "test"
    name = column.removeprefix("subset_")
    return Metric(column, name, _title_iwae(draws), unit, evaluation, better=better)


def find_scored_metrics(rows: pd.DataFrame, metrics: Mapping[str, Metric]) -> list[Metric]:
    """Those of the metrics, by column, that have a value in at least one row."""
    return [metric for name, metric in metrics.items() if name in rows and rows[name].notna().any()]
