"""Forest plot of comparisons: differences with intervals, zero and the margin of equivalence."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.frames.metrics import Metric
from analysis.plots.style import FIGURE_WIDTH, INK, use_report_style, wrap_name
from analysis.rendering.numbers import format_p
from analysis.rendering.section import DECIDED

MAX_PAGE_LINES = 40  # lines of names per page
MAX_NAME_CHARS = 34  # letters per line of an arm's name, which has at most three lines
MAX_REACH = 4.0  # times the median interval; longer intervals are cut off with an arrow
AXIS_PADDING = 0.05  # of the width of the axis, on both sides
FONT_SIZE = 8  # of names and verdicts, points
# Colour and filling by verdict; the verdict itself is written on the right.
VERDICT_STYLES: dict[str, tuple[str, bool]] = {
    "better": ("#0173b2", True),
    "worse": ("#b84e00", True),
    "lower": ("#0173b2", True),
    "higher": ("#b84e00", True),
    "equivalent": ("#017a5a", True),
}
DEFAULT_STYLE: tuple[str, bool] = ("#5f5f5f", False)
P_VALUE_VERDICTS = (*DECIDED, "no difference shown")  # verdicts that follow from p
LEFT_IS_BETTER = "\n← the first arm is better"
RIGHT_IS_BETTER = "\nthe first arm is better →"
PlotRow = tuple[str, dict[str, Any]]  # name and comparison; {} for a heading
LIMIT_COLUMNS = ["low", "high", "low_adjusted", "high_adjusted"]


def split_pages(comparisons: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Split comparisons of one metric into pages, ordered by the arm that they share."""
    ordered = comparisons.assign(
        group=pd.factorize(comparisons[shared_side(comparisons)])[0]
    ).sort_values("group", kind="stable")
    per_page = max(1, MAX_PAGE_LINES // _max_name_lines(comparisons))
    for indices in np.array_split(np.arange(len(ordered)), -(-len(ordered) // per_page)):
        yield ordered.iloc[indices].drop(columns="group")


def shared_side(comparisons: pd.DataFrame) -> str:
    """The side of the comparisons, a or b, with fewer arms."""
    return "a" if comparisons["a"].nunique() < comparisons["b"].nunique() else "b"


def axis_range(comparisons: pd.DataFrame) -> tuple[float, float]:
    """Low and high end of the axis, in the unit of the table.

    It includes zero, the differences, the margin and all but very wide intervals.
    """
    centres, margin = comparisons["difference"], comparisons["margin"].max()
    limits = comparisons[LIMIT_COLUMNS]
    reach = MAX_REACH * (limits.max(axis=1) - limits.min(axis=1)).median()
    clipped = limits.clip(centres.min() - reach, centres.max() + reach).to_numpy().ravel()
    points = np.concatenate([clipped, centres, [0.0, -margin, margin]])
    return float(np.nanmin(points)), float(np.nanmax(points))


@use_report_style
def draw_differences(
    comparisons: pd.DataFrame, metric: Metric, side: str, x_range: tuple[float, float]
) -> Figure:
    """Draw a page of comparisons of one metric, a − b, one per line.

    The thick bar is the unadjusted interval, the thin one the adjusted. side: the arms in the
    headings (`shared_side`); x_range: the ends of the axis (`axis_range`).
    """
    lines = _page_rows(comparisons, side)
    row_height = 0.06 + 0.145 * _max_name_lines(comparisons)
    figure = Figure(figsize=(FIGURE_WIDTH, 0.9 + row_height * len(lines)), layout="constrained")
    axis = figure.subplots()
    x_limits = metric.factor * x_range[0], metric.factor * x_range[1]
    _draw_frame(axis, comparisons["margin"].max() * metric.factor, metric, x_limits)
    for place, (_, row) in enumerate(lines):
        if row:  # not a heading
            _draw_row(
                axis,
                place,
                {name: row[name] * metric.factor for name in ("difference", *LIMIT_COLUMNS)},
                row["verdict"],
                x_limits,
            )
    _label_arms(axis, lines)
    _label_verdicts(axis, lines)
    return figure


def _page_rows(comparisons: pd.DataFrame, side: str) -> list[PlotRow]:
    """The lines of a page: for each shared arm a heading, then its comparisons."""
    heading_format, row_format = ("{}", "− {}") if side == "a" else ("… − {}", "{}")
    lines: list[PlotRow] = []
    for arm, group in comparisons.groupby(side, sort=False):
        lines.append((heading_format.format(_wrap_arm(str(arm))), {}))
        other = group["b" if side == "a" else "a"].map(_wrap_arm)
        records = [
            {str(name): value for name, value in row.items()} for row in group.to_dict("records")
        ]
        lines += zip(other.map(row_format.format), records, strict=True)
    return lines


def _draw_row(
    axis: Axes, place: int, positions: dict[str, float], verdict: str, x_limits: tuple[float, float]
) -> None:
    colour, filled = VERDICT_STYLES.get(verdict, DEFAULT_STYLE)
    for (low, high), width in ((LIMIT_COLUMNS[2:], 1.2), (LIMIT_COLUMNS[:2], 3.6)):
        bar = np.clip([positions[low], positions[high]], *x_limits)
        axis.plot(bar, [place] * 2, color=colour, lw=width, solid_capstyle="butt", zorder=3)
    for side, limit in zip((-1, 1), LIMIT_COLUMNS[2:], strict=True):
        shown = np.clip(positions[limit], *x_limits)
        mark: Any = "|" if shown == positions[limit] else (3, 0, -90 * side)
        axis.plot(shown, place, marker=mark, ms=6, color=colour, zorder=3)
    axis.plot(
        positions["difference"],
        place,
        "o",
        ms=5,
        mfc=colour if filled else "white",
        mec=colour,
        mew=1.3,
        zorder=4,
    )


def _draw_frame(axis: Axes, margin: float, metric: Metric, x_limits: tuple[float, float]) -> None:
    axis.axvline(0, color=INK, lw=0.9, zorder=2)
    if np.isfinite(margin):
        axis.axvspan(-margin, margin, color="#e4e4e4", lw=0, zorder=0)
    axis.grid(axis="y", visible=False)
    axis.spines["left"].set_visible(False)
    axis.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    padding = AXIS_PADDING * (x_limits[1] - x_limits[0]) or 1.0
    axis.set_xlim(x_limits[0] - padding, x_limits[1] + padding)
    hints = {"lower": LEFT_IS_BETTER, "higher": RIGHT_IS_BETTER, None: ""}
    unit = full_difference_unit(metric)
    label = f"difference in {metric.title}{', ' if unit else ''}{unit}"
    axis.set_xlabel(f"{label}{hints[metric.better]}")


def full_difference_unit(metric: Metric) -> str:
    """The unit of a difference without abbreviation: nats, percentage points."""
    return metric.difference_unit.replace("points", "percentage points")


def _label_arms(axis: Axes, lines: Sequence[PlotRow]) -> None:
    axis.set_yticks(range(len(lines)), [text for text, _ in lines], fontsize=FONT_SIZE)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    for label, (_, row) in zip(axis.get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if row else "bold")


def _label_verdicts(axis: Axes, lines: Sequence[PlotRow]) -> None:
    """Write the verdict and the number of seeds to the right of each comparison."""
    rows = [(place, row) for place, (_, row) in enumerate(lines) if row]
    right_axis = axis.secondary_yaxis("right")
    words = [f"{row['verdict']}{_seeds_and_p(row)}" for _, row in rows]
    right_axis.set_yticks([place for place, _ in rows], words, fontsize=FONT_SIZE)
    right_axis.tick_params(length=0)
    right_axis.spines["right"].set_visible(False)
    for label, (_, row) in zip(right_axis.get_yticklabels(), rows, strict=True):
        label.set_color(VERDICT_STYLES.get(row["verdict"], DEFAULT_STYLE)[0])


def _seeds_and_p(row: dict[str, Any]) -> str:
    """Number of seeds, and the adjusted p if the verdict follows from it: `, n = 10, p = 0.004`."""
    n = (
        f"{row['n_pairs']:.0f}"
        if row["design"] == "paired"
        else f"{row['n_a']:.0f} and {row['n_b']:.0f}"
    )
    p = row["p_adjusted"]
    if row["verdict"] not in P_VALUE_VERDICTS or not np.isfinite(p):
        return f", n = {n}"
    return f", n = {n}, {'p < 0.001' if p < 0.001 else format_p(p)}"


def _max_name_lines(comparisons: pd.DataFrame) -> int:
    """The number of lines of the longest name."""
    return max(_wrap_arm(arm).count("\n") + 1 for arm in {*comparisons["a"], *comparisons["b"]})


def _wrap_arm(arm: str) -> str:
    return wrap_name(arm, MAX_NAME_CHARS, lines=3)
