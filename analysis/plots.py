"""The figures: frames in, matplotlib figures out. No pyplot, hence no global state and nothing to close.

Frames are finished rows of the results table with the column `arm`, as in `analysis.results`; a palette gives each arm
its colour and its place. Every seed is a point, and the mean of a metric always has its 95 % t-interval.
"""

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.estimate import counts, estimates
from analysis.metrics import ACCURACY, Metric
from analysis.naming import labels, named

P = ParamSpec("P")
Colours = Mapping[str, Any]
WIDTH = 6.8  # inches
LEGEND = 50  # letters, of a column of a legend or a title
DASHES = ("-", "--", "-.", ":")
BESIDE: dict[int, dict[str, Any]] = {
    -1: {"ha": "right", "va": "center", "fontsize": 9},
    1: {"ha": "left", "va": "center", "fontsize": 9},
}
INK, QUIET = "#222222", "#9a9a9a"
STYLE = sns.axes_style("ticks") | {
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "grid.color": "#ececec",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and PDF; the same figure gives the same bytes."""
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    with mpl.rc_context(STYLE):
        figure.savefig(paths[0], dpi=180)
        figure.savefig(paths[1], metadata={"CreationDate": None})
    return paths


def colours(arms: Sequence[str]) -> Colours:
    """A colour an arm, the same in every figure; of many arms some share one.

    They are seaborn's "colorblind" (after Wong 2011, Nature Methods 8:441) without its grey and two too pale for paper.
    """
    strong = [colour for index, colour in enumerate(sns.color_palette("colorblind")) if index not in (6, 7, 8)]
    return dict(zip(arms, cycle(strong), strict=False))


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of the report and leave matplotlib's own settings as they were."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


@_styled
def losses(rows: pd.DataFrame, metrics: Sequence[Metric], palette: Colours) -> Figure:
    """A panel a metric, an arm a line: seeds as points, and their mean with its 95 % t-interval."""
    names = _in_order(rows, palette)
    figure = Figure(figsize=(WIDTH, 1.0 + 0.45 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, metric in zip(panels, metrics, strict=True):
        data = pd.DataFrame({"arm": rows["arm"], "value": rows[metric.column] * metric.factor}).dropna()
        for arm, seeds in data.groupby("arm", sort=False):
            line, colour = names.index(str(arm)), palette[str(arm)]
            axis.scatter(seeds["value"], np.full(len(seeds), line - 0.14), s=14, alpha=0.55, color=colour, lw=0)
            _means(axis, estimates(seeds, ["arm"], "value"), [line + 0.14], colour, horizontal=True)
        axis.set(title=metric.title, xlabel=f"{metric.unit} per image", ylim=(len(names) - 0.5, -0.5))
        axis.set_yticks(range(len(names)), [_wrapped(name) for name in names])
        axis.tick_params(axis="y", length=0)
        axis.xaxis.set_major_locator(MaxNLocator(4))
    return figure


@_styled
def accuracy(rows: pd.DataFrame, palette: Colours) -> Figure:
    """Supervised against semi-supervised, a panel a data set and label budget; lines join the arms of a seed."""
    rows = rows.assign(series=_series(rows))
    colour_of = _series_colours(rows, palette)
    facets = list(rows.groupby(["dataset", "labels"]))
    arms = max(facet["arm"].nunique() for _, facet in facets)
    columns = max(1, min(len(facets), int(WIDTH / (1.6 * arms))))
    lines = -(-len(facets) // columns)
    figure = Figure(figsize=(WIDTH if columns > 1 or arms > 2 else 4.6, 3.4 * lines), layout="constrained")
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for axis, ((dataset, budget), facet) in zip(panels, facets, strict=False):
        _pairs(axis, facet, colour_of)
        axis.set(title=_wrapped(f"{dataset}, {budget:,} labels", LEGEND), xlabel="", ylabel="")
    for axis in panels[len(facets) :]:
        axis.remove()
    figure.supylabel(f"{ACCURACY.title.lower()} on the grey test images, {ACCURACY.unit}", fontsize=9.5)
    return figure


def _pairs(axis: Axes, rows: pd.DataFrame, colour_of: Colours) -> None:
    names = list(labels(counts(rows)))
    pair = rows["label_draw"] + rows["seed"].astype(str)
    data = rows.assign(place=named(rows).map(names.index), value=rows["accuracy"] * ACCURACY.factor, pair=pair)
    sns.lineplot(data, x="place", y="value", units="pair", estimator=None, color=QUIET, alpha=0.6, lw=0.9, ax=axis)
    for _, seeds in data.groupby("arm", sort=False):
        means = estimates(seeds, ["arm"], "value")
        series, place = seeds["series"].iloc[0], seeds["place"].iloc[0]
        side = -1 if place == 0 else 1
        axis.scatter(seeds["place"], seeds["value"], s=18, color=colour_of[series], alpha=0.7, lw=0, zorder=3)
        _means(axis, means, [place + 0.16 * side], colour_of[series])
        axis.text(place + 0.24 * side, means["mean"].iloc[0], f"{means['mean'].iloc[0]:.1f}", **BESIDE[side])
    axis.set(xlim=(-0.7, len(names) - 0.3))
    axis.set_xticks(range(len(names)), [_wrapped(name) for name in names], fontsize=9 if len(names) < 4 else 7.5)


@_styled
def accuracy_over_labels(rows: pd.DataFrame, palette: Colours) -> Figure:
    """Accuracy against the label budget on a log axis: seeds as points, means with their 95 % t-intervals joined."""
    data = rows.assign(series=_series(rows), value=rows["accuracy"] * ACCURACY.factor)
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    axis = figure.subplots()
    for name, colour in _series_colours(data, palette).items():
        seeds = data[data["series"] == name]
        means = estimates(seeds, ["labels"], "value").sort_values("labels")
        axis.scatter(seeds["labels"] / 1.03, seeds["value"], s=14, alpha=0.5, color=colour, lw=0)
        axis.plot(means["labels"] * 1.03, means["mean"], color=colour, lw=1.3, label=_wrapped(name, LEGEND))
        _means(axis, means, means["labels"] * 1.03, colour)
    axis.set(xscale="log", xlabel="labelled images", ylabel=f"accuracy on the grey test images, {ACCURACY.unit}")
    budgets = sorted(data["labels"].unique())
    axis.set_xticks(budgets, [f"{budget:,}" for budget in budgets])
    axis.xaxis.set_minor_locator(NullLocator())
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _series(rows: pd.DataFrame) -> pd.Series:
    """The name of each row's arm, whatever its label budget."""
    return named(rows.assign(labels=1))


def _series_colours(rows: pd.DataFrame, palette: Colours) -> Colours:
    """Each series has the colour of the first of its arms."""
    firsts = rows.drop_duplicates(["series", "arm"]).sort_values("arm", key=lambda arms: arms.map(list(palette).index))
    return {series: palette[arm] for series, arm in firsts.drop_duplicates("series")[["series", "arm"]].to_numpy()}


@_styled
def learning_curves(points: pd.DataFrame, metric: Metric, palette: Colours) -> Figure:
    """Points of curves -> an arm a line: the mean over its seeds, its 95 % t-interval as a band."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axis = figure.subplots()
    every = estimates(points, ["arm", "step"], metric.name).sort_values("step", kind="stable")
    dashes = dict(zip(palette, cycle(DASHES), strict=False))
    for arm in _in_order(every, palette):
        means = every[every["arm"] == arm]
        mean, low, high = (means[name] * metric.factor for name in ("mean", "low", "high"))
        label = _wrapped(f"{arm} (n = {means['n'].max()})", LEGEND)
        axis.plot(means["step"], mean, dashes[arm], color=palette[arm], lw=1.5, label=label)
        axis.fill_between(means["step"], low, high, color=palette[arm], alpha=0.18, lw=0)
    axis.set(xscale="log", xlabel="training steps", ylabel=metric.heading)
    brief = every["step"].max() < 100 * every["step"].min()
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if brief else (1,)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@_styled
def digit_counts(rows: pd.DataFrame, palette: Colours) -> Figure:
    """Digits that the judge sees in samples of the prior, a panel an arm: seeds as points, mean as bar, even dashed."""
    arms = _in_order(rows, palette)
    columns = min(len(arms), 2 if len(arms) == 4 else 3)
    lines = -(-len(arms) // columns)
    figure = Figure(figsize=(WIDTH, 0.4 + 1.9 * lines), layout="constrained")
    panels = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for arm, axis in zip(arms, panels, strict=False):
        counted = np.stack(rows.loc[rows["arm"] == arm, "digit_counts"].to_list())
        shares = 100 * counted / counted.sum(axis=1, keepdims=True)
        axis.bar(range(10), shares.mean(axis=0), color=palette[arm], alpha=0.45, width=0.75)
        axis.plot(range(10), shares.T, ".", color=palette[arm], ms=3.5)
        axis.axhline(10, color=INK, lw=0.9, ls="--")
        axis.set(title=_wrapped(f"{arm} (n = {len(shares)})", 21), xticks=range(10))
        axis.grid(axis="x", visible=False)
        axis.tick_params(labelbottom=True)
    for axis in panels[len(arms) :]:
        axis.remove()
    figure.supylabel("share of samples, %", fontsize=9.5)
    figure.supxlabel("digit", fontsize=9.5)
    return figure


def _means(axis: Axes, means: pd.DataFrame, places: Any, colour: Any, horizontal: bool = False) -> None:
    """Means and their 95 % t-intervals; at n = 1 there is a mean and no interval."""
    half = (means["high"] - means["mean"]).to_numpy()
    style: dict[str, Any] = {"fmt": "D", "ms": 4, "mec": "white", "mew": 0.5, "elinewidth": 1.6, "capsize": 2.5}
    if horizontal:
        axis.errorbar(means["mean"], places, xerr=half, color=colour, zorder=4, **style)
    else:
        axis.errorbar(places, means["mean"], yerr=half, color=colour, zorder=4, **style)


def _in_order(rows: pd.DataFrame, palette: Colours) -> list[str]:
    there = set(rows["arm"])
    return [arm for arm in palette if arm in there]


def _wrapped(name: str, width: int = 15) -> str:
    """A name in at most four lines of `width` characters, in which matplotlib sees no formula.

    >>> print(_wrapped("ssvae semi-supervised cost $5"))
    ssvae
    semi-supervised
    cost \\$5
    """
    drawable = "".join(letter if letter.isprintable() else " " for letter in name)
    lines = textwrap.wrap(drawable, width, break_on_hyphens=False, max_lines=4, placeholder=" …")
    return "\n".join(lines).replace("$", r"\$")
