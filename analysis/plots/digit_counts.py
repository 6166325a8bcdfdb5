"""Digit counts: what the judge sees in samples of the prior."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from analysis.plots.style import INK, WIDTH, Colours, in_order, styled, wrapped
from analysis.stats.estimates import estimates
from analysis.stats.thresholds import LEVEL


def shares(counted: np.ndarray) -> pd.DataFrame:
    """Counts (seeds, 10) -> a digit a row: its share of the samples, mean, low and high, in %.

    Over seeds the interval is the 95 % t-interval of the share; of a single seed it is that of
    Wilson (1927, JASA 22:209, eq. 2), which holds within that run and tells nothing of other seeds.

    >>> shares(np.array([[1000] * 10])).loc[0].round(2).tolist()
    [0.0, 10.0, 9.43, 10.6]
    """
    share = 100 * counted / counted.sum(axis=1, keepdims=True)
    long = pd.DataFrame({"digit": np.tile(np.arange(10), len(share)), "share": share.ravel()})
    found = estimates(long, ["digit"], "share")
    if len(counted) == 1:
        tests = [binomtest(int(count), int(counted.sum())) for count in counted[0]]
        limits = [test.proportion_ci(LEVEL, method="wilson") for test in tests]
        found = found.assign(
            low=[100 * limit.low for limit in limits], high=[100 * limit.high for limit in limits]
        )
    return found[["digit", "mean", "low", "high"]]


@styled
def digit_counts(rows: pd.DataFrame, palette: Colours) -> Figure:
    """A panel an arm: seeds as points, the mean as a bar with its interval, as `shares` tells it;
    even is dashed.
    """
    arms = in_order(rows, palette)
    columns = min(len(arms), 2 if len(arms) == 4 else 3)
    lines = -(-len(arms) // columns)
    figure = Figure(figsize=(WIDTH, 0.4 + 1.9 * lines), layout="constrained")
    panels = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for arm, axis in zip(arms, panels, strict=False):
        _panel(axis, np.stack(rows.loc[rows["arm"] == arm, "digit_counts"].to_list()), palette, arm)
    for axis in panels[len(arms) :]:
        axis.remove()
    panels[0].set_ylim(0, _top(rows))
    figure.supylabel("share of samples, %", fontsize=9.5)
    figure.supxlabel("digit", fontsize=9.5)
    return figure


def _panel(axis: Axes, counted: np.ndarray, palette: Colours, arm: str) -> None:
    found = shares(counted)
    axis.bar(found["digit"], found["mean"], color=palette[arm], alpha=0.4, width=0.8)
    error = [found["mean"] - found["low"], found["high"] - found["mean"]]
    axis.errorbar(
        found["digit"] + 0.14,
        found["mean"],
        yerr=error,
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=1.8,
    )
    points = 100 * counted / counted.sum(axis=1, keepdims=True)
    axis.plot(found["digit"] - 0.16, points.T, ".", color=INK, alpha=0.6, ms=3.5, mew=0)
    axis.axhline(10, color=INK, lw=0.9, ls="--")
    axis.set(title=wrapped(f"{arm} (n = {len(counted)})", 21), xticks=range(10))
    axis.grid(axis="x", visible=False)
    axis.tick_params(labelbottom=True)


def _top(rows: pd.DataFrame) -> float:
    """The height of the panels, %: room for every seed, and for intervals up to half as high again."""
    every = [np.stack(counted.to_list()) for _, counted in rows.groupby("arm")["digit_counts"]]
    tallest = max(
        float((100 * counted / counted.sum(axis=1, keepdims=True)).max()) for counted in every
    )
    return float(
        min(
            1.5 * tallest,
            1.05 * max(tallest, *(shares(counted)["high"].max() for counted in every)),
        )
    )
