"""Digit counts: the classes that the digit classifier predicts for samples of the prior."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.frames.class_words import ClassWord
from analysis.plots.captions import MAX_POINTS
from analysis.plots.style import FIGURE_WIDTH, INK, Colours, in_order, use_report_style, wrap_name
from analysis.stats.agreement import wilson_interval
from analysis.stats.estimates import estimate_means

MAX_VECTOR_POINTS = 100  # seeds of an arm that are points in a PDF, not pixels
MAX_TICKS = 12  # numbers of classes below a panel


def digit_shares(counts: np.ndarray) -> pd.DataFrame:
    """Counts (seeds, classes) -> one row per digit: mean share of the samples, low and high, in %.

    Over seeds the interval is the 95 % t-interval of the share. Of a single seed it is that of
    Wilson (1927, JASA 22:209, eq. 2), which is valid within that run only.

    >>> digit_shares(np.array([[1000] * 10])).loc[0].round(2).tolist()
    [0.0, 10.0, 9.43, 10.6]
    """
    share = 100 * counts / counts.sum(axis=1, keepdims=True)
    digits = np.tile(np.arange(counts.shape[1]), len(share))
    long = pd.DataFrame({"digit": digits, "share": share.ravel()})
    table = estimate_means(long, ["digit"], "share")
    if len(counts) == 1:
        low, high = wilson_interval(counts[0], counts.sum())
        table = table.assign(low=100 * low, high=100 * high)
    return table[["digit", "mean", "low", "high"]]


@use_report_style
def draw_digit_counts(rows: pd.DataFrame, palette: Colours, word: ClassWord = "digit") -> Figure:
    """A panel per arm: seeds as points, `digit_shares` as bars, a dashed line at equal shares.

    word: what a class is called
    """
    counts = {
        arm: np.stack(rows.loc[rows["arm"] == arm, "digit_counts"].to_list())
        for arm in in_order(rows["arm"], palette)
    }
    columns = min(len(counts), 2 if len(counts) == 4 else 3)
    lines = -(-len(counts) // columns)
    figure = Figure(figsize=(FIGURE_WIDTH, 0.4 + 1.9 * lines), layout="constrained")
    one_data_set = len({counted.shape[1] for counted in counts.values()}) == 1
    subplots = figure.subplots(lines, columns, sharex=one_data_set, sharey=True, squeeze=False)
    panels = list(subplots.flat)
    intervals = {arm: digit_shares(counted) for arm, counted in counts.items()}
    for arm, axis in zip(counts, panels, strict=False):
        _draw_panel(axis, counts[arm], intervals[arm], palette, arm)
    for axis in panels[len(counts) :]:
        axis.remove()
    panels[0].set_ylim(0, _panel_height(counts.values(), intervals.values()))
    figure.supylabel("share of samples, %", fontsize=9.5)
    figure.supxlabel(word, fontsize=9.5)
    return figure


def _draw_panel(
    axis: Axes, counts: np.ndarray, intervals: pd.DataFrame, palette: Colours, arm: str
) -> None:
    axis.bar(intervals["digit"], intervals["mean"], color=palette[arm], alpha=0.4, width=0.8)
    error = [intervals["mean"] - intervals["low"], intervals["high"] - intervals["mean"]]
    axis.errorbar(
        intervals["digit"] + 0.14,
        intervals["mean"],
        yerr=error,
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=1.8,
    )
    points = 100 * counts[:MAX_POINTS] / counts[:MAX_POINTS].sum(axis=1, keepdims=True)
    places = np.tile(intervals["digit"] - 0.16, len(points))
    # a PDF of 100,000 points takes seconds to write, and again to show
    as_pixels = len(points) > MAX_VECTOR_POINTS
    style: dict[str, Any] = {"color": INK, "alpha": 0.6, "ms": 3.5, "mew": 0}
    axis.plot(places, points.ravel(), ".", rasterized=as_pixels, **style)
    axis.axhline(100 / len(intervals), color=INK, lw=0.9, ls="--")
    axis.set(title=wrap_name(f"{arm} (n = {len(counts)})", 21), xticks=_choose_ticks(intervals))
    axis.grid(axis="x", visible=False)
    axis.tick_params(labelbottom=True)


def _choose_ticks(intervals: pd.DataFrame) -> np.ndarray:
    """The classes whose numbers are printed: all, or so many that they are legible."""
    classes = intervals["digit"].to_numpy()
    return classes[:: -(-len(classes) // MAX_TICKS)]


def _panel_height(counts: Iterable[np.ndarray], intervals: Iterable[pd.DataFrame]) -> float:
    """Counts (seeds, classes) and `digit_shares` of each arm -> the upper limit of the panels, %.

    It is above all seeds, and above intervals up to 1.5 times the largest share of a seed.
    """
    tallest = max(float((100 * each / each.sum(axis=1, keepdims=True)).max()) for each in counts)
    highest = max(float(each["high"].max()) for each in intervals)
    return min(1.5 * tallest, 1.05 * max(tallest, highest))
