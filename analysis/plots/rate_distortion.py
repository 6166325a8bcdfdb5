"""Rate against distortion over β: how KL and reconstruction are traded for each other.

After Alemi et al. 2018, "Fixing a Broken ELBO", ICML, figure 1: rate R is the KL, distortion D the
reconstruction. The NELBO is R + D, so models of equal NELBO are on one line of slope -1.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.frames.arm_names import series_names
from analysis.plots.captions import select_points
from analysis.plots.label_placement import LabelPlacer
from analysis.plots.style import (
    DASHES,
    FIGURE_WIDTH,
    INK,
    MAX_LEGEND_CHARS,
    Colours,
    use_report_style,
    wrap_name,
)
from analysis.stats.estimates import estimate_means

LineStyles = Mapping[str, Mapping[str, Any]]
NELBO_LINE_COLOUR = "#c8c8c8"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def find_beta_series(rows: pd.DataFrame) -> pd.DataFrame:
    """Finished rows -> those with a bound whose arm differs in β alone from another.

    The added column `series` names what these arms have in common.
    """
    scored = rows.dropna(subset=["kl", "rec"])
    scored = scored.assign(series=series_names(scored, "beta"))
    return scored[scored.groupby("series")["beta"].transform("nunique") > 1]


@use_report_style
def draw_rate_distortion(rows: pd.DataFrame, palette: Colours) -> Figure:
    """Rows of `find_beta_series` -> a panel per data set.

    Each seed is a point. The means of a series are joined in order of β and have 95 % t-intervals
    in both directions. Grey lines join points of equal NELBO, whose value is on the right axis.
    """
    panels = list(rows.groupby("dataset"))
    figure = Figure(
        figsize=(FIGURE_WIDTH, 0.5 + 4.4 * len(panels) + 0.12 * rows["series"].nunique()),
        layout="constrained",
    )
    axes = list(figure.subplots(len(panels), 1, squeeze=False).flat)
    styles = _line_styles(rows, palette)
    for axis, (dataset, facet) in zip(axes, panels, strict=True):
        for series, style in styles.items():
            _draw_series(axis, facet[facet["series"] == series], style)
        _draw_nelbo_lines(axis)
        axis.set(
            title=wrap_name(str(dataset), MAX_LEGEND_CHARS) if len(panels) > 1 else "",
            xlabel="rate: KL (nats)",
        )
        axis.set_ylabel("distortion: reconstruction (nats)")
    handles = {
        label: line
        for axis in axes
        for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    _label_betas(figure, axes, [facet for _, facet in panels], styles)
    return figure


def _line_styles(rows: pd.DataFrame, palette: Colours) -> LineStyles:
    """A marker, a dash and a colour for each series; colours repeat if the palette has too few."""
    arms = rows.sort_values("arm", key=lambda names: names.map(list(palette).index), kind="stable")
    marks = zip(
        dict.fromkeys(arms["series"]), palette.values(), cycle(MARKERS), cycle(DASHES), strict=False
    )
    return {
        series: {"color": colour, "marker": mark, "ls": dash}
        for series, colour, mark, dash in marks
    }


def _draw_series(axis: Axes, rows: pd.DataFrame, style: Mapping[str, Any]) -> None:
    if rows.empty:
        return
    rate, distortion = (
        estimate_means(rows, ["beta"], part).sort_values("beta") for part in ("kl", "rec")
    )
    points = select_points(rows)
    marks = {"color": style["color"], "marker": style["marker"]}
    axis.scatter(points["kl"], points["rec"], s=9, **marks, alpha=0.4, lw=0)
    bars: dict[str, Any] = {
        "fmt": "none",
        "ecolor": style["color"],
        "elinewidth": 1.3,
        "capsize": 2,
        "zorder": 4,
    }
    bars |= {"xerr": rate["high"] - rate["mean"], "yerr": distortion["high"] - distortion["mean"]}
    axis.errorbar(rate["mean"], distortion["mean"], **bars)
    name = wrap_name(str(rows["series"].iloc[0]), MAX_LEGEND_CHARS)
    axis.plot(
        rate["mean"],
        distortion["mean"],
        **style,
        lw=1.3,
        ms=5.5,
        mec="white",
        mew=0.6,
        zorder=5,
        label=name,
    )


def _draw_nelbo_lines(axis: Axes) -> None:
    """Draw grey lines of slope -1; the right axis gives their NELBO."""
    series_means = [
        np.asarray(line.get_xydata()) for line in axis.lines if line.get_marker() in MARKERS
    ]
    min_nelbo = min(float(means.sum(axis=1).min()) for means in series_means)
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    ticks = np.asarray(MaxNLocator(9, steps=[1, 2, 5, 10]).tick_values(min_nelbo, right + top))
    levels = ticks[ticks > min_nelbo - 1e-6]
    bottom = min(bottom, levels[0] - right)
    for level in levels:
        axis.plot(
            [left, right], [level - left, level - right], color=NELBO_LINE_COLOUR, lw=0.8, zorder=1
        )
    axis.set(xlim=(left, right), ylim=(bottom, top))
    axis.grid(visible=False)
    right_axis = axis.secondary_yaxis(
        "right", functions=(partial(np.add, right), partial(np.add, -right))
    )
    right_axis.set_yticks([level for level in levels if bottom + right <= level <= top + right])
    right_axis.set_ylabel("NELBO on the grey lines (nats)", color=INK)
    right_axis.spines["right"].set_visible(True)


def _label_betas(
    figure: Figure, axes: Sequence[Axes], facets: Sequence[pd.DataFrame], styles: LineStyles
) -> None:
    """Write β beside the means where there is room, those at both ends of a series first."""
    figure.draw_without_rendering()
    for axis, facet in zip(axes, facets, strict=True):
        means = facet.groupby(["series", "beta"])[["kl", "rec"]].mean().reset_index()
        placer = LabelPlacer(
            axis, [paths[["kl", "rec"]].to_numpy() for _, paths in means.groupby("series")]
        )
        ends = means.groupby("series")["beta"].transform(
            lambda betas: betas.isin([betas.min(), betas.max()])
        )
        ordered = means.assign(ends=ends).sort_values("ends", ascending=False, kind="stable")
        for series, beta, kl, rec, _ in ordered.itertuples(index=False):
            placer.place(f"β={beta:.12g}", (kl, rec), color=styles[series]["color"])
