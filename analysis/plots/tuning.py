"""Tuning curves: the expected best validation score against the number of trials."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.plots.style import FIGURE_WIDTH, colours, use_report_style

Floats = NDArray[np.float64]


class Curve(Protocol):
    """The expected best of 1 to n trials, with the ends of its band: (n,) each."""

    @property
    def name(self) -> str:
        """The configuration."""

    @property
    def mean(self) -> Floats:
        """The expected best."""

    @property
    def low(self) -> Floats:
        """The low end of the band."""

    @property
    def high(self) -> Floats:
        """The high end of the band."""


@use_report_style
def draw_tuning_curves(curves: Sequence[Curve], label: str) -> Figure:
    """A line and a band for each curve; the horizontal axis has the number of trials."""
    figure = Figure(figsize=(FIGURE_WIDTH, 3.4), layout="constrained")
    axis = figure.subplots()
    palette = colours([curve.name for curve in curves])
    for curve in curves:
        counts = np.arange(1, len(curve.mean) + 1)
        axis.fill_between(
            counts, curve.low, curve.high, color=palette[curve.name], alpha=0.15, lw=0
        )
        axis.plot(counts, curve.mean, marker="o", ms=3, color=palette[curve.name], label=curve.name)
    axis.set(xlabel="trials", ylabel=f"expected best {label.replace(' (', chr(10) + '(')}")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend()
    return figure
