"""What captions of several sections have in common, and how many arms a plot shows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis.frames.arm_table import count_cells
from analysis.frames.training_length import shortened_banner
from analysis.rendering.section import Plot

if TYPE_CHECKING:
    from analysis.plots.style import Colours

MAX_ARMS = 30  # of one plot
MAX_POINTS = 1000  # seeds of an arm that are points of a plot


def draw_first_arms(
    draw: Callable[[pd.DataFrame, "Colours"], Iterator[Plot]],
    rows: pd.DataFrame,
    arms: Sequence[str],
) -> Iterator[Plot]:
    """Plots of the first `MAX_ARMS` arms that have rows; the caption says how many are left out.

    arms: the names of all arms of the report, in their order. They decide the colours.
    """
    from analysis.plots import style

    palette = style.colours(arms)
    drawn = style.in_order(rows["arm"], palette)
    if len(drawn) <= MAX_ARMS:
        yield from draw(rows, palette)
        return
    note = f"The first {MAX_ARMS} of {len(drawn):,} arms; the tables have all of them."
    for plot in draw(rows[rows["arm"].isin(drawn[:MAX_ARMS])], palette):
        yield replace(plot, caption=f"{plot.caption} {note}")


def select_points(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `arm` that are points of a plot: the first `MAX_POINTS` of each arm."""
    return rows[rows.groupby("arm").cumcount() < MAX_POINTS]


def describe_points(rows: pd.DataFrame, mark: str = "diamond", where: str = "") -> str:
    """What the points of a plot of scores are, the interval of their mean, and what was shortened.

    mark: the shape of a mean. where: the directions of the interval, if there are two.
    """
    seeds = rows.groupby("arm").size()
    several = seeds.max() > 1
    interval = f"; the {mark} is the mean with its 95 % t-interval" if several else ": no interval"
    directions = f" {where}" if several and where else ""
    points = f"Each point is a seed, {format_seed_counts(seeds)}{interval}{directions}."
    if seeds.max() > MAX_POINTS:
        points += f" Points are the first {MAX_POINTS:,} seeds of an arm."
    shortened = shortened_banner(count_cells(rows))
    return f"{points} {shortened}." if shortened else points


def format_seed_counts(seeds: "pd.Series[int]") -> str:
    """Seeds by arm -> `n = 3 an arm`, or `n = 2 to 3 an arm`."""
    fewest, most = seeds.min(), seeds.max()
    return f"n = {fewest} an arm" if fewest == most else f"n = {fewest} to {most} an arm"
