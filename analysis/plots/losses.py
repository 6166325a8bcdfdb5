"""NELBO, KL and reconstruction, or other metrics, of every arm, side by side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.frames.metrics import Metric
from analysis.plots.captions import select_points
from analysis.plots.style import (
    FIGURE_WIDTH,
    Colours,
    in_order,
    mark_means,
    use_report_style,
    wrap_name,
)
from analysis.stats.estimates import estimate_means


@use_report_style
def draw_losses(rows: pd.DataFrame, metrics: Sequence[Metric], palette: Colours) -> Figure:
    """A panel per metric, a line per arm: seeds as points, their mean with its 95 % t-interval."""
    names = in_order(rows["arm"], palette)
    figure = Figure(figsize=(FIGURE_WIDTH, 1.0 + 0.45 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, metric in zip(panels, metrics, strict=True):
        values = rows[metric.column] * metric.factor
        _draw_panel(
            axis, pd.DataFrame({"arm": rows["arm"], "value": values}).dropna(), palette, names
        )
        unit = metric.unit if metric.evaluation == "own" else f"{metric.unit} per image"
        axis.set(title=metric.title, xlabel=unit)
    return figure


def _draw_panel(axis: Axes, data: pd.DataFrame, palette: Colours, names: list[str]) -> None:
    """Draw arm and value of every run, and a line for each of `names`, the first at the top."""
    for arm, seeds in data.groupby("arm", sort=False):
        line, colour = names.index(str(arm)), palette[str(arm)]
        points = select_points(seeds)["value"]
        heights = np.full(len(points), line - 0.14)
        axis.scatter(points, heights, s=14, alpha=0.55, color=colour, lw=0)
        means = estimate_means(seeds, ["arm"], "value")
        mark_means(axis, means, [line + 0.14], colour, horizontal=True)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_yticks(range(len(names)), [wrap_name(name) for name in names])
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_locator(MaxNLocator(4))
