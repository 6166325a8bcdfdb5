"""Accuracy: supervised against semi-supervised, and with its gain over label budgets."""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.frames.arm_names import arm_names, prefer_given, series_names
from analysis.frames.arm_table import count_cells
from analysis.frames.metrics import ACCURACY, GAIN, Metric
from analysis.plots.captions import select_points
from analysis.plots.style import (
    FIGURE_WIDTH,
    INK,
    MAX_LEGEND_CHARS,
    MUTED,
    Colours,
    mark_means,
    use_report_style,
    wrap_name,
)
from analysis.stats.estimates import estimate_means

Y_LABELS = {
    "accuracy": f"accuracy on the grey test images, {ACCURACY.unit}",
    "gain": "semi-supervised − supervised,\npercentage points",
}
SIDE_TEXT_STYLES: dict[int, dict[str, Any]] = {
    -1: {"ha": "right", "va": "center", "fontsize": 9},
    1: {"ha": "left", "va": "center", "fontsize": 9},
}


@use_report_style
def draw_accuracy(rows: pd.DataFrame, palette: Colours) -> Figure:
    """Supervised against semi-supervised: a panel per data set and label budget.

    Lines join the arms of one seed.
    """
    rows = rows.assign(series=series_names(rows, "labels"))
    colour_of = _series_colours(rows, palette)
    facets = list(rows.groupby(["dataset", "labels"]))
    arms = max(facet["arm"].nunique() for _, facet in facets)
    columns = max(1, min(len(facets), int(FIGURE_WIDTH / (1.6 * arms))))
    lines = -(-len(facets) // columns)
    figure = Figure(
        figsize=(FIGURE_WIDTH if columns > 1 or arms > 2 else 4.6, 3.4 * lines),
        layout="constrained",
    )
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for axis, ((dataset, budget), facet) in zip(panels, facets, strict=False):
        _draw_pairs(axis, facet, colour_of)
        axis.set(
            title=wrap_name(f"{dataset}, {budget:,} labels", MAX_LEGEND_CHARS), xlabel="", ylabel=""
        )
    for axis in panels[len(facets) :]:
        axis.remove()
    figure.supylabel(
        f"{ACCURACY.title.lower()} on the grey test images, {ACCURACY.unit}", fontsize=9.5
    )
    return figure


def _draw_pairs(axis: Axes, rows: pd.DataFrame, colour_of: Colours) -> None:
    names = prefer_given(arm_names(count_cells(rows)), rows)
    pair = rows["label_draw"] + rows["seed"].astype(str)
    data = rows.assign(
        place=rows["arm"].map(names.index.get_loc),
        value=rows["accuracy"] * ACCURACY.factor,
        pair=pair,
    )
    sns.lineplot(
        data,
        x="place",
        y="value",
        units="pair",
        estimator=None,
        color=MUTED,
        alpha=0.6,
        lw=0.9,
        ax=axis,
    )
    for _, seeds in data.groupby("arm", sort=False):
        _draw_arm(axis, seeds[["arm", "place", "value"]], colour_of[seeds["series"].iloc[0]])
    axis.set(xlim=(-0.7, len(names) - 0.3))
    axis.set_xticks(
        range(len(names)),
        [wrap_name(name) for name in names],
        fontsize=9 if len(names) < 4 else 7.5,
    )


def _draw_arm(axis: Axes, seeds: pd.DataFrame, colour: str) -> None:
    """Draw the seeds of one arm, their mean with its interval, and the mean as a number."""
    means, place = estimate_means(seeds, ["arm"], "value"), seeds["place"].iloc[0]
    mean, side = means["mean"].iloc[0], -1 if place == 0 else 1
    points = select_points(seeds)
    axis.scatter(points["place"], points["value"], s=18, color=colour, alpha=0.7, lw=0, zorder=3)
    mark_means(axis, means, [place + 0.16 * side], colour)
    axis.text(place + 0.24 * side, mean, f"{mean:.1f}", **SIDE_TEXT_STYLES[side])


@use_report_style
def draw_by_label_budget(rows: pd.DataFrame, metric: Metric, palette: Colours) -> Figure:
    """Accuracy or its gain over label budgets, on a log axis.

    Each seed is a point; the means of a series have 95 % t-intervals and are joined.
    """
    data = rows.assign(
        series=series_names(rows, "labels"), value=rows[metric.column] * metric.factor
    )
    figure = Figure(figsize=(FIGURE_WIDTH, 3.8), layout="constrained")
    axis = figure.subplots()
    for name, colour in _series_colours(data, palette).items():
        seeds = data[data["series"] == name]
        means = estimate_means(seeds, ["labels"], "value").sort_values("labels")
        points = select_points(seeds)
        axis.scatter(points["labels"] / 1.03, points["value"], s=14, alpha=0.5, color=colour, lw=0)
        axis.plot(
            means["labels"] * 1.03,
            means["mean"],
            color=colour,
            lw=1.3,
            label=wrap_name(name, MAX_LEGEND_CHARS),
        )
        mark_means(axis, means, means["labels"] * 1.03, colour)
    axis.set(xscale="log", xlabel="labelled images", ylabel=Y_LABELS[metric.column])
    budgets = sorted(data["labels"].unique())
    axis.set_xticks(budgets, [f"{budget:,}" for budget in budgets])
    axis.xaxis.set_minor_locator(NullLocator())
    if metric == GAIN:
        axis.axhline(0, color=INK, lw=0.9, zorder=2)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _series_colours(rows: pd.DataFrame, palette: Colours) -> Colours:
    """The colour of each series: that of its first arm."""
    firsts = rows.drop_duplicates(["series", "arm"]).sort_values(
        "arm", key=lambda arms: arms.map(list(palette).index)
    )
    return {
        series: palette[arm]
        for series, arm in firsts.drop_duplicates("series")[["series", "arm"]].to_numpy()
    }
