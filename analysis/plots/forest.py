"""Differences between arms with their intervals, zero and the margin of equivalence: a forest plot
of comparisons.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.frames.metrics import Metric
from analysis.plots.style import INK, WIDTH, styled, wrapped
from analysis.rendering.section import DECIDED

LINES = 40  # of names, on a page
NAME = 34  # letters of a line of an arm's name, which has at most three
FAR = 4.0  # times the middle interval: what reaches farther is cut off, with an arrow
ROOM = 0.05  # of the width of a plot, beyond what it must hold
SIZE = 8  # of names and verdicts, points
# Colour and filling by verdict; the word itself stands at the side.
LOOKS: dict[str, tuple[str, bool]] = {
    "better": ("#0173b2", True),
    "worse": ("#b84e00", True),
    "lower": ("#0173b2", True),
    "higher": ("#b84e00", True),
    "equivalent": ("#017a5a", True),
}
OTHER: tuple[str, bool] = ("#5f5f5f", False)
TESTED = (*DECIDED, "no difference shown")  # what rests on the p-value of the difference
TO_THE_LEFT = "\n← the first arm is better"
# of a part alone none is the better
SIDES = {"accuracy": "\nthe first arm is better →", "kl": "", "rec": ""}
Line = tuple[str, dict[str, Any]]  # a name, and its comparison, {} for a heading
LIMITS = ["low", "high", "low_adjusted", "high_adjusted"]


def pages(comparisons: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Comparisons of one metric -> them by the arm that they have in common, as many at a time as a
    page has lines.
    """
    ordered = comparisons.assign(
        group=pd.factorize(comparisons[shared(comparisons)])[0]
    ).sort_values("group", kind="stable")
    together = max(1, LINES // _lines(comparisons))
    for places in np.array_split(np.arange(len(ordered)), -(-len(ordered) // together)):
        yield ordered.iloc[places].drop(columns="group")


def shared(comparisons: pd.DataFrame) -> str:
    """On which side of the comparisons, a or b, there are fewer arms."""
    return "a" if comparisons["a"].nunique() < comparisons["b"].nunique() else "b"


def span(comparisons: pd.DataFrame) -> tuple[float, float]:
    """From where to where a plot goes, in the unit of the table: zero, differences, margin and all
    but wild limits.
    """
    found, margin = comparisons["difference"], comparisons["margin"].max()
    limits = comparisons[LIMITS]
    far = FAR * (limits.max(axis=1) - limits.min(axis=1)).median()
    ends = limits.clip(found.min() - far, found.max() + far).to_numpy().ravel()
    every = np.concatenate([ends, found, [0.0, -margin, margin]])
    return float(np.nanmin(every)), float(np.nanmax(every))


@styled
def differences(
    comparisons: pd.DataFrame, metric: Metric, side: str, reached: tuple[float, float]
) -> Figure:
    """A page of comparisons of one metric -> a line each, a − b: a thick bar unadjusted, a thin one
    adjusted.

    `side`, a or b, is the one that headings tell, as `shared` finds it; `reached` is from where to
    where, as of `span`.
    """
    lines = _written(comparisons, side)
    high = 0.06 + 0.145 * _lines(comparisons)
    figure = Figure(figsize=(WIDTH, 0.9 + high * len(lines)), layout="constrained")
    axis = figure.subplots()
    ends = metric.factor * reached[0], metric.factor * reached[1]
    _frame(axis, comparisons["margin"].max() * metric.factor, metric, ends)
    for place, (_, row) in enumerate(lines):
        if row:  # not a heading
            _line(
                axis,
                place,
                {name: row[name] * metric.factor for name in ("difference", *LIMITS)},
                row["verdict"],
                ends,
            )
    _name(axis, lines)
    _judge(axis, lines)
    return figure


def _written(comparisons: pd.DataFrame, side: str) -> list[Line]:
    """The lines of a page: above each group the arm that its comparisons share, then what differs."""
    head, each = ("{}", "− {}") if side == "a" else ("… − {}", "{}")
    lines: list[Line] = []
    for arm, group in comparisons.groupby(side, sort=False):
        lines.append((head.format(_wrapped(str(arm))), {}))
        other = group["b" if side == "a" else "a"].map(_wrapped)
        found = [
            {str(name): value for name, value in row.items()} for row in group.to_dict("records")
        ]
        lines += zip(other.map(each.format), found, strict=True)
    return lines


def _line(
    axis: Axes, place: int, at: dict[str, float], verdict: str, ends: tuple[float, float]
) -> None:
    colour, filled = LOOKS.get(verdict, OTHER)
    for (low, high), width in ((LIMITS[2:], 1.2), (LIMITS[:2], 3.6)):
        bar = np.clip([at[low], at[high]], *ends)
        axis.plot(bar, [place] * 2, color=colour, lw=width, solid_capstyle="butt", zorder=3)
    for side, limit in zip((-1, 1), LIMITS[2:], strict=True):
        shown = np.clip(at[limit], *ends)
        mark: Any = "|" if shown == at[limit] else (3, 0, -90 * side)
        axis.plot(shown, place, marker=mark, ms=6, color=colour, zorder=3)
    axis.plot(
        at["difference"],
        place,
        "o",
        ms=5,
        mfc=colour if filled else "white",
        mec=colour,
        mew=1.3,
        zorder=4,
    )


def _frame(axis: Axes, margin: float, metric: Metric, ends: tuple[float, float]) -> None:
    axis.axvline(0, color=INK, lw=0.9, zorder=2)
    if np.isfinite(margin):
        axis.axvspan(-margin, margin, color="#e4e4e4", lw=0, zorder=0)
    axis.grid(axis="y", visible=False)
    axis.spines["left"].set_visible(False)
    axis.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    room = ROOM * (ends[1] - ends[0]) or 1.0
    axis.set_xlim(ends[0] - room, ends[1] + room)
    axis.set_xlabel(
        f"difference in {metric.title}, {unit(metric)}{SIDES.get(metric.name, TO_THE_LEFT)}"
    )


def unit(metric: Metric) -> str:
    """The unit of a difference: that of shares is points."""
    return "percentage points" if metric.unit == "%" else metric.unit


def _name(axis: Axes, lines: Sequence[Line]) -> None:
    axis.set_yticks(range(len(lines)), [text for text, _ in lines], fontsize=SIZE)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    for label, (_, row) in zip(axis.get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if row else "bold")


def _judge(axis: Axes, lines: Sequence[Line]) -> None:
    """On the right of each comparison its verdict, and on how many seeds it rests."""
    judged = [(place, row) for place, (_, row) in enumerate(lines) if row]
    beside = axis.secondary_yaxis("right")
    words = [f"{row['verdict']}{_seeds(row)}" for _, row in judged]
    beside.set_yticks([place for place, _ in judged], words, fontsize=SIZE)
    beside.tick_params(length=0)
    beside.spines["right"].set_visible(False)
    for label, (_, row) in zip(beside.get_yticklabels(), judged, strict=True):
        label.set_color(LOOKS.get(row["verdict"], OTHER)[0])


def _seeds(row: dict[str, Any]) -> str:
    """How many seeds, and the corrected p-value where the verdict rests on it: `, n = 10, p =
    0.004`.
    """
    n = (
        f"{row['n_pairs']:.0f}"
        if row["design"] == "paired"
        else f"{row['n_a']:.0f} and {row['n_b']:.0f}"
    )
    p = row["p_adjusted"]
    if row["verdict"] not in TESTED or not np.isfinite(p):
        return f", n = {n}"
    return f", n = {n}, p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}"


def _lines(comparisons: pd.DataFrame) -> int:
    """How many lines the longest name has."""
    return max(_wrapped(arm).count("\n") + 1 for arm in {*comparisons["a"], *comparisons["b"]})


def _wrapped(arm: str) -> str:
    return wrapped(arm, NAME, lines=3)
