"""Learning curves: what a metric does while an arm trains."""

from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.frames.metrics import Metric
from analysis.plots.style import DASHES, LEGEND, WIDTH, Colours, in_order, styled, wrapped
from analysis.stats.estimates import estimates

THOUSANDS = FuncFormatter(lambda step, _: f"{step:,.0f}")


@styled
def learning_curves(points: pd.DataFrame, metric: Metric, palette: Colours) -> Figure:
    """Points of curves -> an arm a line: the mean over its seeds, its 95 % t-interval as a band;
    and the end of it.
    """
    every = estimates(points, ["arm", "step"], metric.name).sort_values("step", kind="stable")
    figure = Figure(figsize=(WIDTH, 3.8 + 0.12 * every["arm"].nunique()), layout="constrained")
    whole, end = figure.subplots(1, 2, width_ratios=(3, 2))
    _lines(whole, every, metric, palette)
    lengths = every.groupby("arm")["step"].transform("max")
    _lines(end, every[every["step"] >= lengths / 2], metric, palette)
    whole.set(title="all steps", xscale="log", ylabel=metric.heading)
    end.set(title="each from half way")
    _steps(whole, every["step"])
    end.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    end.xaxis.set_major_formatter(THOUSANDS)
    for axis in (whole, end):
        axis.set_xlabel("training steps")
    figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _lines(axis: Axes, every: pd.DataFrame, metric: Metric, palette: Colours) -> None:
    dashes = dict(zip(palette, cycle(DASHES), strict=False))
    for arm in in_order(every, palette):
        means = every[every["arm"] == arm]
        mean, low, high = (means[name] * metric.factor for name in ("mean", "low", "high"))
        label = f"{wrapped(arm, LEGEND - 6)} (n = {means['n'].max()})"
        mark = "." if len(means) == 1 else ""
        axis.plot(
            means["step"], mean, dashes[arm], marker=mark, color=palette[arm], lw=1.5, label=label
        )
        axis.fill_between(means["step"], low, high, color=palette[arm], alpha=0.18, lw=0)


def _steps(axis: Axes, steps: pd.Series) -> None:
    brief = steps.max() < 100 * steps.min()
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if brief else (1,)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(THOUSANDS)
