"""Rate against distortion over β: what a model pays in KL for what it gains in reconstruction.

After Alemi et al. 2018, "Fixing a Broken ELBO", ICML, figure 1: rate R is the KL, distortion D the
reconstruction, and the NELBO is R + D, so that all models of one NELBO lie on a line of slope -1.
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

from analysis.frames.arm_names import named
from analysis.plots.label_placement import Room
from analysis.plots.style import DASHES, INK, LEGEND, WIDTH, Colours, styled, wrapped
from analysis.stats.estimates import estimates

Looks = Mapping[str, Mapping[str, Any]]
PALE = "#c8c8c8"
MARKS = ("o", "s", "^", "D", "v", "P", "X")


def families(rows: pd.DataFrame) -> pd.DataFrame:
    """Finished rows -> those with a bound whose arm differs in β alone from another, with the
    column `family`.
    """
    scored = rows.dropna(subset=["kl", "rec"])
    if scored.empty:
        return scored.assign(family="")
    scored = scored.assign(family=named(scored.assign(beta=1.0)))
    return scored[scored.groupby("family")["beta"].transform("nunique") > 1]


@styled
def rate_distortion(rows: pd.DataFrame, palette: Colours) -> Figure:
    """Rows as `families` gives them -> a panel a data set: seeds as points, the means of a family
    joined in order of β.

    Means have 95 % t-intervals both ways; grey lines join what has the same NELBO, which the right
    axis tells.
    """
    panels = list(rows.groupby("dataset"))
    figure = Figure(
        figsize=(WIDTH, 0.5 + 4.4 * len(panels) + 0.12 * rows["family"].nunique()),
        layout="constrained",
    )
    axes = list(figure.subplots(len(panels), 1, squeeze=False).flat)
    looks = _looks(rows, palette)
    for axis, (dataset, facet) in zip(axes, panels, strict=True):
        for family, look in looks.items():
            _family(axis, facet[facet["family"] == family], look)
        _same_nelbo(axis)
        axis.set(
            title=wrapped(str(dataset), LEGEND) if len(panels) > 1 else "", xlabel="rate: KL (nats)"
        )
        axis.set_ylabel("distortion: reconstruction (nats)")
    handles = {
        label: line
        for axis in axes
        for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    _name_betas(figure, axes, [facet for _, facet in panels], looks)
    return figure


def _looks(rows: pd.DataFrame, palette: Colours) -> Looks:
    """A mark and a dash a family; a colour that no other has where the palette has as many, that of
    its first arm.
    """
    arms = rows.sort_values("arm", key=lambda names: names.map(list(palette).index), kind="stable")
    marks = zip(
        dict.fromkeys(arms["family"]), palette.values(), cycle(MARKS), cycle(DASHES), strict=False
    )
    return {
        family: {"color": colour, "marker": mark, "ls": dash}
        for family, colour, mark, dash in marks
    }


def _family(axis: Axes, rows: pd.DataFrame, look: Mapping[str, Any]) -> None:
    if rows.empty:
        return
    rate, distortion = (
        estimates(rows, ["beta"], part).sort_values("beta") for part in ("kl", "rec")
    )
    axis.scatter(
        rows["kl"], rows["rec"], s=9, color=look["color"], marker=look["marker"], alpha=0.4, lw=0
    )
    bars: dict[str, Any] = {
        "fmt": "none",
        "ecolor": look["color"],
        "elinewidth": 1.3,
        "capsize": 2,
        "zorder": 4,
    }
    bars |= {"xerr": rate["high"] - rate["mean"], "yerr": distortion["high"] - distortion["mean"]}
    axis.errorbar(rate["mean"], distortion["mean"], **bars)
    name = wrapped(str(rows["family"].iloc[0]), LEGEND)
    axis.plot(
        rate["mean"],
        distortion["mean"],
        **look,
        lw=1.3,
        ms=5.5,
        mec="white",
        mew=0.6,
        zorder=5,
        label=name,
    )


def _same_nelbo(axis: Axes) -> None:
    """Grey lines of slope -1; where one leaves the panel on the right, the right axis tells its
    NELBO.
    """
    joined = [np.asarray(line.get_xydata()) for line in axis.lines if line.get_marker() in MARKS]
    least = min(float(means.sum(axis=1).min()) for means in joined)
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    ticks = np.asarray(MaxNLocator(9, steps=[1, 2, 5, 10]).tick_values(least, right + top))
    levels = ticks[ticks > least - 1e-6]
    bottom = min(bottom, levels[0] - right)
    for level in levels:
        axis.plot([left, right], [level - left, level - right], color=PALE, lw=0.8, zorder=1)
    axis.set(xlim=(left, right), ylim=(bottom, top))
    axis.grid(visible=False)
    beside = axis.secondary_yaxis(
        "right", functions=(partial(np.add, right), partial(np.add, -right))
    )
    beside.set_yticks([level for level in levels if bottom + right <= level <= top + right])
    beside.set_ylabel("NELBO on the grey lines (nats)", color=INK)
    beside.spines["right"].set_visible(True)


def _name_betas(
    figure: Figure, axes: Sequence[Axes], facets: Sequence[pd.DataFrame], looks: Looks
) -> None:
    """Write β beside the means while there is room, a family's ends before what lies between."""
    figure.draw_without_rendering()
    for axis, facet in zip(axes, facets, strict=True):
        means = facet.groupby(["family", "beta"])[["kl", "rec"]].mean().reset_index()
        room = Room(axis, [paths[["kl", "rec"]].to_numpy() for _, paths in means.groupby("family")])
        ends = means.groupby("family")["beta"].transform(
            lambda betas: betas.isin([betas.min(), betas.max()])
        )
        ordered = means.assign(ends=ends).sort_values("ends", ascending=False, kind="stable")
        for family, beta, kl, rec, _ in ordered.itertuples(index=False):
            room.write(f"β={beta:.12g}", (kl, rec), color=looks[family]["color"])
