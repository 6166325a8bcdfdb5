"""Sheets of digits over β, side by side: samples, reconstructions or latent traversals.

A sheet is a PNG of 10 × 20 digits of 28 × 28 pixels with a pixel between them, as the harness
writes it.
"""

import io
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from analysis.plots.style import styled, wrapped
from harness.storage.store import Pictures

TILE = 29  # pixels: a digit and the line beside it
SHOWN = 7  # columns of a sheet
PANEL = (1.28, 1.98)  # inches
ACROSS = 5  # panels in a line


@styled
def over_beta(rows: pd.DataFrame, pngs: Mapping[str, bytes], kind: Pictures) -> Figure:
    """A row an arm, with the column `family`, and PNGs by cell -> a family a line of panels, in
    order of β.
    """
    lines = [
        line
        for _, family in rows.groupby("family", sort=False)
        for line in _lines(family.sort_values("beta"))
    ]
    columns = max(map(len, lines))
    size = (0.4 + PANEL[0] * columns, PANEL[1] * len(lines))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(lines), columns, squeeze=False)
    for axes, line in zip(panels, lines, strict=True):
        for axis, (cell, beta) in zip(axes, line[["cell", "beta"]].to_numpy(), strict=False):
            axis.imshow(cropped(pngs[cell], kind), cmap="gray", vmin=0, vmax=255)
            axis.set_title(f"β = {beta:.12g}", fontsize=9, fontweight="normal")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        axes[0].set_ylabel(wrapped(line["family"].iloc[0], 26), fontsize=9, fontweight="bold")
        for axis in axes[len(line) :]:
            axis.remove()
    return figure


def cropped(png: bytes, kind: Pictures) -> np.ndarray:
    """Some columns of a sheet, (height, width) in 0..255: of a traversal from end to end, else the
    first.

    A picture that is no sheet is given whole.
    """
    with Image.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("L"))
    there = (pixels.shape[1] + 1) // TILE
    if there <= SHOWN or (pixels.shape[1] + 1) % TILE:
        return pixels
    columns = (
        np.linspace(0, there - 1, SHOWN).round().astype(int)
        if kind == "traversals"
        else np.arange(SHOWN)
    )
    places = (columns[:, None] * TILE + np.arange(TILE)).ravel()[:-1]
    return pixels[:, places]


def _lines(family: pd.DataFrame) -> list[pd.DataFrame]:
    """The arms of a family, ACROSS at a time."""
    return [family.iloc[start : start + ACROSS] for start in range(0, len(family), ACROSS)]
