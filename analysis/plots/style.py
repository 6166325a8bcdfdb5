"""Style of all plots, colours of the arms, marks of means, and saving of figures.

Each plot is a module that turns frames into a matplotlib figure. pyplot is not used, so there is no
global state and nothing to close. Frames are finished rows of the results table with the column
`arm`, as in `analysis.frames.load`; a palette gives each arm its colour and its position. Every
seed is a point, and a mean over seeds always has its 95 % t-interval.
"""

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

P = ParamSpec("P")
Colours = Mapping[str, Any]
FIGURE_WIDTH = 6.8  # inches
MAX_LEGEND_CHARS = 40  # letters in a column of a legend or in a title
DASHES = ("-", "--", "-.", ":")
INK, MUTED = "#222222", "#9a9a9a"
STYLE = sns.axes_style("ticks") | {
    "axes.edgecolor": MUTED,
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
    """Write a figure as PNG and PDF, with the same bytes for the same figure; return the paths."""
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    with mpl.rc_context(STYLE):
        figure.savefig(paths[0], dpi=180)
        figure.set_layout_engine("none")  # the PDF takes the same layout
        figure.savefig(paths[1], metadata={"CreationDate": None})
    return paths


def colours(arms: Sequence[str]) -> Colours:
    """A colour for each arm, the same in every figure; with many arms colours repeat.

    The palette is seaborn's "colorblind" (after Wong 2011, Nature Methods 8:441) without grey and
    two colours that are too pale for paper.
    """
    strong = [
        colour
        for index, colour in enumerate(sns.color_palette("colorblind"))
        if index not in (6, 7, 8)
    ]
    return dict(zip(arms, cycle(strong), strict=False))


def use_report_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator: draw in the report's style and restore matplotlib's settings."""

    @functools.wraps(draw)
    def draw_styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return draw_styled


def mark_means(
    axis: Axes, means: pd.DataFrame, places: Any, colour: Any, horizontal: bool = False
) -> None:
    """Draw means and their 95 % t-intervals at `places`; at n = 1 there is no interval."""
    half = (means["high"] - means["mean"]).to_numpy()
    style: dict[str, Any] = {
        "fmt": "D",
        "ms": 4,
        "mec": "white",
        "mew": 0.5,
        "elinewidth": 1.6,
        "capsize": 2.5,
    }
    if horizontal:
        axis.errorbar(means["mean"], places, xerr=half, color=colour, zorder=4, **style)
    else:
        axis.errorbar(places, means["mean"], yerr=half, color=colour, zorder=4, **style)


def in_order(arms: pd.Series, palette: Colours) -> list[str]:
    """The arms of some rows, in the order of the palette."""
    present = set(arms.unique())
    return [arm for arm in palette if arm in present]


def wrap_name(name: str, width: int = 15, lines: int = 4) -> str:
    """Wrap a name to at most `lines` lines of `width` characters, and escape $ for matplotlib.

    >>> print(wrap_name("ssvae semi-supervised cost $5"))
    ssvae
    semi-supervised
    cost \\$5
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    parts = textwrap.wrap(
        printable, width, break_on_hyphens=False, max_lines=lines, placeholder=" …"
    )
    return "\n".join(parts).replace("$", r"\$")
