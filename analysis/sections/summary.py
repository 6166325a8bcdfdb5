"""The results of our own arms: a short table for each evaluation set, and one of every estimate."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from analysis.frames import training_length
from analysis.frames.arm_table import (
    STATISTICS,
    Row,
    format_status_counts,
    list_rows,
)
from analysis.frames.metrics import (
    ACCURACY,
    BOUND_METRICS,
    EVALUATION_SET_NAMES,
    METRIC_BY_COLUMN,
    NLL,
    Metric,
    Scope,
    find_scored_metrics,
)
from analysis.plots.captions import describe_points, draw_first_arms
from analysis.rendering.numbers import format_estimate, format_interval, format_number
from analysis.rendering.section import Content, Plot
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section

if TYPE_CHECKING:
    from analysis.plots.style import Colours

PANELS = 3  # of a plot of further metrics
DIRECTIONS = {
    "lower": "lower is better",
    "higher": "higher is better",
    None: "neither direction is better",
}
ESTIMATE_CAPTION = "± is the standard error (SE) of the mean over n seeds"
IMAGE_ERROR_CAPTION = (
    "SE of the images: how far the score of one seed on these images may be from that on all such "
    "images, mean over the seeds. All seeds share the images, so more seeds do not lower it."
)


def build_results(data: ReportData) -> Content:
    """The short tables, then every run's bound and own metrics as plots."""
    return Content(
        draw_plots=lambda: draw(data),
        tables=build_summary_tables(data.estimates, data.arm_counts, data.main_metrics),
        tables_first=True,
    )


def build_estimates(data: ReportData) -> Content:
    """The table of every estimate."""
    metrics = list(data.metrics.values())
    return Content(tables=[build_estimate_table(data.estimates, data.arm_counts, metrics)])


RESULTS = Section("results", "Results", build_results)
ESTIMATES = Section("estimates", "Every estimate", build_estimates, dense=True)


def draw(data: ReportData) -> Iterator[Plot]:
    """NELBO, KL and reconstruction of every run, then the metrics that the rows describe."""
    finished = data.finished
    scored = finished[finished["nelbo"].notna()]
    yield from draw_first_arms(_draw_bounds, scored, data.arm_names)
    scored_metrics = find_scored_metrics(finished, data.metrics)
    own = [metric for metric in scored_metrics if metric.evaluation == "own"]
    for first in range(0, len(own), PANELS):
        metrics = own[first : first + PANELS]
        scored = finished[finished[[metric.column for metric in metrics]].notna().any(axis=1)]
        number = first // PANELS + 1
        yield from draw_first_arms(
            partial(_draw_own_metrics, metrics, number), scored, data.arm_names
        )


def _draw_bounds(scored: pd.DataFrame, palette: "Colours") -> Iterator[Plot]:
    from analysis.plots.losses import draw_losses

    if len(scored):
        figure = draw_losses(scored, [METRIC_BY_COLUMN[name] for name in BOUND_METRICS], palette)
        caption = (
            f"NELBO = KL + reconstruction, on the test images, at β = 1. {describe_points(scored)}"
        )
        yield Plot("losses", "NELBO, KL and reconstruction", caption, figure)


def _draw_own_metrics(
    metrics: Sequence[Metric], number: int, scored: pd.DataFrame, palette: "Colours"
) -> Iterator[Plot]:
    from analysis.plots.losses import draw_losses

    name = "further-metrics" + (f"-{number}" if number > 1 else "")
    caption = f"{_describe_meanings(metrics)}. {describe_points(scored)}"
    yield Plot(name, "Further metrics", caption, draw_losses(scored, metrics, palette))


def _describe_meanings(metrics: Sequence[Metric]) -> str:
    """What each metric that rows describe is, in a sentence without its stop."""
    meanings = [
        f"{metric.title}: {metric.meaning} ({DIRECTIONS[metric.better]})" for metric in metrics
    ]
    return "; ".join(meanings)


def build_summary_tables(
    estimates: pd.DataFrame, arm_counts: pd.DataFrame, metrics: Sequence[Metric]
) -> list[Table]:
    """Scaled `estimate_arms` and `count_cells` -> a table for each evaluation set of the metrics,
    with a row an arm and a column a metric.
    """
    sets: dict[Scope, list[Metric]] = {}
    for metric in metrics:
        sets.setdefault(metric.evaluation, []).append(metric)
    return [_build_summary_table(estimates, arm_counts, *each) for each in sets.items()]


def select_main_metrics(rows: pd.DataFrame, metrics: Mapping[str, Metric]) -> list[Metric]:
    """The bounds, exact likelihoods and accuracies that were scored, and the metrics that the rows
    describe; where there is none, the bound on the test images.
    """
    scored = [
        metric
        for metric in find_scored_metrics(rows, metrics)
        if metric.name in (*BOUND_METRICS, NLL.name, ACCURACY.name) or metric.evaluation == "own"
    ]
    return scored or [METRIC_BY_COLUMN[name] for name in BOUND_METRICS]


def _build_summary_table(
    table: pd.DataFrame,
    arm_counts: pd.DataFrame,
    evaluation: Scope,
    metrics: Sequence[Metric],
) -> Table:
    values = arm_counts.assign(arm=arm_counts.index).reset_index(drop=True)
    text = pd.DataFrame({"Arm": values["arm"]})
    for metric in metrics:
        estimates = table[table["metric"] == metric.column].reset_index(drop=True)
        digits = metric.count_decimals(estimates["mean"])
        text[metric.heading] = [format_arm_estimate(arm, digits) for arm in list_rows(estimates)]
        values = values.join(estimates[STATISTICS].add_prefix(f"{metric.column}_"))
    text["Cells"] = [format_cells(arm) for arm in list_rows(arm_counts)]
    kept = (values.filter(regex="_n$") > 0).any(axis=1) | (evaluation == "test")
    return Table(
        f"summary-{evaluation}".replace("_", "-"),
        f"Results on {EVALUATION_SET_NAMES[evaluation]}"
        if evaluation in EVALUATION_SET_NAMES
        else "Further metrics",
        _build_caption(metrics, training_length.shortened_banner(arm_counts)),
        text[kept],
        values[kept],
    )


def _build_caption(metrics: Sequence[Metric], short: str) -> str:
    own = [metric for metric in metrics if metric.evaluation == "own"]
    if own:
        return f"{ESTIMATE_CAPTION}. {_describe_meanings(own)}. {short}".strip()
    bounds = (
        "; losses in nats per image at β = 1"
        if any(metric.unit == "nats" for metric in metrics)
        else ""
    )
    accuracy = "; accuracy on the grey test images" if ACCURACY in metrics else ""
    return f"{ESTIMATE_CAPTION}{bounds}{accuracy}. {short}".strip()


def build_estimate_table(
    estimates: pd.DataFrame, arm_counts: pd.DataFrame, metrics: Sequence[Metric]
) -> Table:
    """Scaled `estimate_arms` and `count_cells` -> one row an arm and metric: mean, SD, SE, 95 %
    t-interval, n, and the cells that are not in n.
    """
    by_column = {metric.column: metric for metric in metrics}
    shown = (estimates["n"] > 0) & estimates["metric"].isin(by_column)
    table = estimates[shown].reset_index(drop=True)
    row_metrics = [by_column[column] for column in table["metric"]]
    values = table.assign(
        unit=[metric.unit for metric in row_metrics],
        evaluation=[metric.evaluation for metric in row_metrics],
    )
    text = _format_estimates(table, row_metrics)
    has_image_errors = "image_se" in table and table["image_se"].notna().any()
    if has_image_errors:
        text.insert(5, "SE of the images", _format_errors(table["image_se"], row_metrics))
    caption = (
        f"{ESTIMATE_CAPTION}; SD is the standard deviation over the same seeds, the interval that "
        "of the mean (Student's t)."
    )
    if has_image_errors:
        caption = f"{caption} {IMAGE_ERROR_CAPTION}"
    own = [each for each in dict.fromkeys(row_metrics) if each.evaluation == "own"]
    caption = f"{caption} {_describe_meanings(own)}." if own else caption
    caption = f"{caption} {training_length.shortened_banner(arm_counts)}".strip()
    return Table(
        "estimates",
        "Mean, SD, SE and 95 % t-interval of every arm",
        caption,
        text,
        values,
    )


def _format_errors(errors: pd.Series, metrics: Sequence[Metric]) -> list[str]:
    """Errors with two significant digits or more, in the metric's unit."""
    decimals = [
        max(2, metric.count_decimals([error]))
        for metric, error in zip(metrics, errors, strict=True)
    ]
    return [format_number(error, n) for error, n in zip(errors, decimals, strict=True)]


def _format_estimates(table: pd.DataFrame, metrics: Sequence[Metric]) -> pd.DataFrame:
    """Scaled estimates and the metric of each -> the cells of the table as text."""
    arms = [
        (arm, metric.count_decimals([arm["mean"]]))
        for arm, metric in zip(list_rows(table), metrics, strict=True)
    ]
    return pd.DataFrame(
        {
            "Arm": table["arm"],
            "Metric": [metric.heading for metric in metrics],
            "Scored on": [metric.evaluation for metric in metrics],
            "Mean ± SE": [format_arm_estimate(arm, digits) for arm, digits in arms],
            "SD": ["–" if pd.isna(arm["sd"]) else f"{arm['sd']:.{n}f}" for arm, n in arms],
            "95 % t-interval": [format_interval(arm["low"], arm["high"], n) for arm, n in arms],
            "Cells": [format_cells(arm) for arm, _ in arms],
        }
    )


def format_arm_estimate(arm: Row, digits: int = 2) -> str:
    """An arm's estimate in one line, its ± named."""
    return format_estimate(arm["mean"], arm["se"], "SE", int(arm["n"]), digits)


def format_cells(arm: Row) -> str:
    """What became of an arm's cells, and their length where it is not the full one: `9 ok, 1
    failed; shortened: …`.
    """
    full = arm["iterations"] == arm["full_length"]
    return (
        format_status_counts(arm)
        if full
        else f"{format_status_counts(arm)}; "
        f"{training_length.describe_length(arm['iterations'], arm['full_length'])}"
    )
