"""The learning curves of a report."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from analysis.frames.metrics import ACCURACY, METRIC_BY_COLUMN
from analysis.plots.captions import draw_first_arms
from analysis.rendering.section import Content, Plot
from analysis.report_data import ReportData, Section

if TYPE_CHECKING:
    from analysis.plots.style import Colours

CAPTIONS = {
    "nelbo": "NELBO of the training batches, at β = 1",
    "accuracy": "Accuracy on the grey test images, only watched",
}


def build(data: ReportData) -> Content:
    """NELBO and accuracy over the steps of training."""
    points, arms = data.frames.points, data.arm_names
    return Content(draw_plots=lambda: draw_first_arms(_draw_curves, points, arms))


SECTION = Section("curves", "Learning curves", build)


def _draw_curves(points: pd.DataFrame, palette: "Colours") -> Iterator[Plot]:
    """A plot of each metric that has points."""
    from analysis.plots.learning_curves import draw_learning_curves

    for metric in (METRIC_BY_COLUMN["nelbo"], ACCURACY):
        watched = points.dropna(subset=[metric.name])
        if len(watched):
            caption = (
                f"{CAPTIONS[metric.name]}. Lines are means over n seeds, bands their 95 % "
                "t-intervals."
            )
            title = f"Learning curves, {metric.title}"
            figure = draw_learning_curves(watched, metric, palette)
            yield Plot(f"curves-{metric.name}", title, caption, figure)
