"""Which figures a table of results gives, each with a caption that says what is shown and of how many seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure

from analysis import plots
from analysis.estimate import counts
from analysis.metrics import ACCURACY, BOUND, BY_COLUMN
from analysis.naming import labels


@dataclass(frozen=True)
class Drawn:
    """A figure, the name of its files, its title, the section of the page that it belongs to and what it shows."""

    name: str
    title: str
    section: Literal["bounds", "accuracy", "curves", "samples"]
    caption: str
    figure: Figure


def draw(rows: pd.DataFrame, points: pd.DataFrame) -> Iterator[Drawn]:
    """Rows and points, as in `analysis.results.Results` -> the figures that they have values for."""
    palette = plots.colours(list(labels(counts(rows))))
    finished = rows[rows["status"] == "ok"]
    yield from _bounds(finished, palette)
    yield from _accuracy(finished[finished["supervision"] != "none"], palette)
    yield from _curves(points, palette)
    counted = finished[finished["digit_counts"].notna()]
    if len(counted):
        samples = counted["digit_counts"].map(sum).iloc[0]
        caption = (
            f"Digits that the judge sees in {samples:,} samples of the prior, {_runs(counted)}. "
            "Bars are means over seeds, points single seeds, dashed is uniform. No claim of balance is made here."
        )
        yield Drawn("digit-counts", "Digit counts", "samples", caption, plots.digit_counts(counted, palette))


def _bounds(finished: pd.DataFrame, palette: plots.Colours) -> Iterator[Drawn]:
    scored = finished[finished["nelbo"].notna()]
    if len(scored):
        figure = plots.losses(scored, [BY_COLUMN[name] for name in BOUND], palette)
        caption = f"NELBO = KL + reconstruction, on the test images, at β = 1. {_points(scored)}"
        yield Drawn("losses", "NELBO, KL and reconstruction", "bounds", caption, figure)


def _accuracy(finished: pd.DataFrame, palette: plots.Colours) -> Iterator[Drawn]:
    scored = finished[finished["accuracy"].notna()]
    if scored.empty:
        return
    caption = f"Supervised against semi-supervised; a line joins the runs of one seed. {_points(scored)}"
    yield Drawn("accuracy", "Accuracy", "accuracy", caption, plots.accuracy(scored, palette))
    if scored["labels"].nunique() > 1:
        caption = f"Accuracy over the number of labelled images. {_points(scored)}"
        yield Drawn(
            "accuracy-over-labels",
            "Accuracy over label budgets",
            "accuracy",
            caption,
            plots.accuracy_over_labels(scored, palette),
        )


def _curves(points: pd.DataFrame, palette: plots.Colours) -> Iterator[Drawn]:
    said = {
        "nelbo": "NELBO of the training batches, at β = 1",
        "accuracy": "Accuracy on the grey test images, only watched",
    }
    for metric in (BY_COLUMN["nelbo"], ACCURACY):
        if points[metric.name].notna().any():
            figure = plots.learning_curves(points.dropna(subset=[metric.name]), metric, palette)
            caption = f"{said[metric.name]}. Lines are means over n seeds, bands their 95 % t-intervals."
            yield Drawn(f"curves-{metric.name}", f"Learning curves, {metric.title}", "curves", caption, figure)


def _runs(rows: pd.DataFrame) -> str:
    """How many seeds an arm has: `n = 3 an arm`."""
    seeds = rows.groupby("arm").size()
    return f"n = {seeds.min()} an arm" if seeds.min() == seeds.max() else f"n = {seeds.min()} to {seeds.max()} an arm"


def _points(rows: pd.DataFrame) -> str:
    several = rows.groupby("arm").size().max() > 1
    interval = "; the diamond is the mean with its 95 % t-interval" if several else ": no interval"
    return f"Each point is a seed, {_runs(rows)}{interval}."
