"""The metrics of a report: column of the results table, heading, unit and evaluation set."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from harness.experiment.metrics import IWAE_SAMPLES

EvaluationSet = Literal["test", "report_subset"]
COLUMN_PREFIXES: dict[EvaluationSet, str] = {"test": "", "report_subset": "subset_"}
BOUND_METRICS = ("nelbo", "kl", "rec")
# Less of one part of the bound is more of the other: neither lower nor higher is better.
BOUND_PARTS = ("kl", "rec")


@dataclass(frozen=True)
class Metric:
    """A column of the results table; its values times `factor` are in `unit`."""

    column: str
    name: str
    title: str
    unit: str
    evaluation: EvaluationSet
    factor: float = 1.0

    @property
    def heading(self) -> str:
        """Title and unit: `NELBO (nats)`."""
        return f"{self.title} ({self.unit})"

    @property
    def difference_unit(self) -> str:
        """Unit of the difference of two values in `unit`: points where that is %."""
        return "points" if self.unit == "%" else self.unit


def _make_bound_metrics(evaluation: EvaluationSet) -> list[Metric]:
    titles = {"nelbo": "NELBO", "kl": "KL", "rec": "Reconstruction"}
    titles |= {f"iwae_{k}": f"IWAE bound, {k:,} draws" for k in IWAE_SAMPLES}
    return [
        Metric(COLUMN_PREFIXES[evaluation] + name, name, title, "nats", evaluation)
        for name, title in titles.items()
    ]


NLL = Metric("nll", "nll", "Exact −log p(x)", "nats", "test")
ACCURACY = Metric("accuracy", "accuracy", "Accuracy", "%", "test", factor=100.0)
# of two arms; no column of the results table
GAIN = Metric("gain", "gain", "Gain in accuracy", "%", "test", factor=100.0)
METRICS: tuple[Metric, ...] = (
    *_make_bound_metrics("test"),
    NLL,
    ACCURACY,
    *_make_bound_metrics("report_subset"),
)
METRIC_BY_COLUMN = {metric.column: metric for metric in METRICS}


def find_scored_metrics(rows: pd.DataFrame) -> list[Metric]:
    """The metrics that have a value in at least one row, in the order of `METRICS`."""
    return [metric for metric in METRICS if rows[metric.column].notna().any()]
