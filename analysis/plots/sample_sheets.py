"""Image sheets over β, side by side: samples, reconstructions or latent traversals."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.style import use_report_style, wrap_name
from analysis.rendering.sheet import crop_sheet
from harness.storage.store import PictureKind

PANEL_INCHES = (1.28, 1.98)
PANELS_PER_ROW = 5


@use_report_style
def draw_sheets_by_beta(rows: pd.DataFrame, pngs: Mapping[str, bytes], kind: PictureKind) -> Figure:
    """One row per arm with the column `series`, and PNGs by cell -> panels in order of β.

    Each series starts a new line of panels.
    """
    lines = [
        line
        for _, series in rows.groupby("series", sort=False)
        for line in _panel_rows(series.sort_values("beta"))
    ]
    columns = max(map(len, lines))
    size = (0.4 + PANEL_INCHES[0] * columns, PANEL_INCHES[1] * len(lines))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(lines), columns, squeeze=False)
    for axes, line in zip(panels, lines, strict=True):
        for axis, (cell, beta) in zip(axes, line[["cell", "beta"]].to_numpy(), strict=False):
            axis.imshow(crop_sheet(pngs[cell], kind), cmap="gray", vmin=0, vmax=255)
            axis.set_title(f"β = {beta:.12g}", fontsize=9, fontweight="normal")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        axes[0].set_ylabel(wrap_name(line["series"].iloc[0], 26), fontsize=9, fontweight="bold")
        for axis in axes[len(line) :]:
            axis.remove()
    return figure


def _panel_rows(series: pd.DataFrame) -> list[pd.DataFrame]:
    """The arms of a series, `PANELS_PER_ROW` at a time."""
    return [
        series.iloc[start : start + PANELS_PER_ROW]
        for start in range(0, len(series), PANELS_PER_ROW)
    ]
