"""Learning curves: a metric over training steps."""

from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.frames.metrics import Metric
from analysis.plots.style import (
    DASHES,
    FIGURE_WIDTH,
    MAX_LEGEND_CHARS,
    Colours,
    in_order,
    use_report_style,
    wrap_name,
)
from analysis.stats.estimates import estimate_means

THOUSANDS_FORMAT = FuncFormatter(lambda step, _: f"{step:,.0f}")


@use_report_style
def draw_learning_curves(points: pd.DataFrame, metric: Metric, palette: Colours) -> Figure:
    """Points of curves -> a line per arm: the mean over seeds with its 95 % t-interval as a band.

    The left panel shows all steps on a log axis, the right one the second half of each arm.
    """
    all_means = estimate_means(points, ["arm", "step"], metric.name).sort_values(
        "step", kind="stable"
    )
    figure = Figure(
        figsize=(FIGURE_WIDTH, 3.8 + 0.12 * all_means["arm"].nunique()), layout="constrained"
    )
    full, end = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_lines(full, all_means, metric, palette)
    lengths = all_means.groupby("arm")["step"].transform("max")
    _draw_lines(end, all_means[all_means["step"] >= lengths / 2], metric, palette)
    full.set(title="all steps", xscale="log", ylabel=metric.heading)
    end.set(title="each from half way")
    _format_step_axis(full, all_means["step"])
    end.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    end.xaxis.set_major_formatter(THOUSANDS_FORMAT)
    for axis in (full, end):
        axis.set_xlabel("training steps")
    figure.legend(*full.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_lines(axis: Axes, all_means: pd.DataFrame, metric: Metric, palette: Colours) -> None:
    dashes = dict(zip(palette, cycle(DASHES), strict=False))
    for arm in in_order(all_means["arm"], palette):
        means = all_means[all_means["arm"] == arm]
        mean, low, high = (means[name] * metric.factor for name in ("mean", "low", "high"))
        label = f"{wrap_name(arm, MAX_LEGEND_CHARS - 6)} (n = {means['n'].max()})"
        mark = "." if len(means) == 1 else ""
        axis.plot(
            means["step"], mean, dashes[arm], marker=mark, color=palette[arm], lw=1.5, label=label
        )
        axis.fill_between(means["step"], low, high, color=palette[arm], alpha=0.18, lw=0)


def _format_step_axis(axis: Axes, steps: pd.Series) -> None:
    brief = steps.max() < 100 * steps.min()
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if brief else (1,)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(THOUSANDS_FORMAT)
