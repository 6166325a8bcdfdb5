"""The tables of our own arms: one to read at a glance for each evaluation set, and one that holds
every estimate.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.frames import training_length
from analysis.frames.arm_names import labels
from analysis.frames.arm_table import STATISTICS, arms, counts, records, scaled, tally
from analysis.frames.metrics import (
    ACCURACY,
    BOUND,
    BY_COLUMN,
    METRICS,
    NLL,
    Evaluation,
    Metric,
    present,
)
from analysis.rendering.numbers import written
from analysis.rendering.table import Table

SETS: dict[Evaluation, str] = {
    "test": "the test images",
    "report_subset": "report_subset (the listed images)",
}
HOW = "± is the standard error (SE) of the mean over n seeds"


def glances(rows: pd.DataFrame) -> list[Table]:
    """Results table -> a table for each evaluation set that was scored: an arm a row, a metric a
    column.
    """
    sets: dict[Evaluation, list[Metric]] = {}
    for metric in main(rows):
        sets.setdefault(metric.evaluation, []).append(metric)
    return [_glance(rows, evaluation, chosen) for evaluation, chosen in sets.items()]


def main(rows: pd.DataFrame) -> list[Metric]:
    """The bounds, exact likelihoods and accuracies that were scored; where none was, the bound on
    the test images.
    """
    scored = [
        metric for metric in present(rows) if metric.name in (*BOUND, NLL.name, ACCURACY.name)
    ]
    return scored or [BY_COLUMN[name] for name in BOUND]


def _glance(rows: pd.DataFrame, evaluation: Evaluation, metrics: Sequence[Metric]) -> Table:
    who = counts(rows).reset_index(drop=True)
    values = who.assign(arm=labels(who))
    text = pd.DataFrame({"Arm": values["arm"]})
    table = arms(rows, [metric.column for metric in metrics])
    for metric in metrics:
        estimates = scaled(table[table["metric"] == metric.column].reset_index(drop=True))
        text[metric.heading] = [said(arm) for arm in records(estimates)]
        values = values.join(estimates[STATISTICS].add_prefix(f"{metric.column}_"))
    text["Cells"] = [cells(arm) for arm in records(who)]
    kept = (values.filter(regex="_n$") > 0).any(axis=1) | (evaluation == "test")
    name, title = f"summary-{evaluation}".replace("_", "-"), f"Results on {SETS[evaluation]}"
    return Table(
        name, title, _caption(metrics, training_length.banner(who)), text[kept], values[kept]
    )


def _caption(metrics: Sequence[Metric], short: str) -> str:
    bounds = (
        "; losses in nats per image at β = 1"
        if any(metric.unit == "nats" for metric in metrics)
        else ""
    )
    accuracy = "; accuracy on the grey test images" if ACCURACY in metrics else ""
    return f"{HOW}{bounds}{accuracy}. {short}".strip()


def every_estimate(rows: pd.DataFrame, metrics: Sequence[Metric] = METRICS) -> Table:
    """Results table -> one row an arm and metric: mean, SD, SE, 95 % t-interval, n, and what is not
    in n.
    """
    table = scaled(arms(rows, [metric.column for metric in metrics]))
    table.insert(0, "arm", labels(table))
    table = table[table["n"] > 0].reset_index(drop=True)
    of = [BY_COLUMN[column] for column in table["metric"]]
    text = pd.DataFrame(
        {
            "Arm": table["arm"],
            "Metric": [metric.heading for metric in of],
            "Scored on": [metric.evaluation for metric in of],
            "Mean ± SE": [said(arm) for arm in records(table)],
            "SD": table["sd"].map(_number),
            "95 % t-interval": [_interval(arm) for arm in records(table)],
            "Cells": [cells(arm) for arm in records(table)],
        }
    )
    values = table.assign(
        unit=[metric.unit for metric in of], evaluation=[metric.evaluation for metric in of]
    )
    caption = (
        f"{HOW}; SD is the standard deviation over the same seeds, the interval that of "
        f"the mean (Student's t)."
    )
    caption = f"{caption} {training_length.banner(counts(rows))}".strip()
    return Table(
        "estimates", "Mean, SD, SE and 95 % t-interval of every arm", caption, text, values
    )


def said(arm: "pd.Series[float]") -> str:
    """An arm's estimate in one line, its ± named."""
    return written(arm["mean"], arm["se"], "SE", int(arm["n"]))


def cells(arm: pd.Series) -> str:
    """What became of an arm's cells, and their length where it is not the full one: `9 ok, 1
    failed; shortened: …`.
    """
    full = arm["iterations"] == arm["full_length"]
    return (
        tally(arm)
        if full
        else f"{tally(arm)}; {training_length.said(arm['iterations'], arm['full_length'])}"
    )


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2f}"


def _interval(arm: pd.Series) -> str:
    return "–" if pd.isna(arm["low"]) else f"[{arm['low']:.2f}, {arm['high']:.2f}]"
