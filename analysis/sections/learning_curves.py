"""The learning curves of a report."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from analysis.frames.metrics import (
    ACCURACY,
    METRIC_BY_COLUMN,
    VALIDATION_ACCURACY,
    VALIDATION_NELBO,
)
from analysis.plots.captions import draw_first_arms
from analysis.rendering.section import Content, Plot
from analysis.report_data import ReportData, Section

if TYPE_CHECKING:
    from analysis.plots.style import Colours

CAPTIONS = {
    "nelbo": "NELBO of the training batches, at β = 1",
    "validation_nelbo": "NELBO of the validation images, at β = 1",
    "accuracy": "Accuracy on the grey test images, watched during training as the source report "
    "did: these cells hold out no validation images, and nothing is chosen by it",
    "validation_accuracy": "Accuracy on the validation images",
}


def build(data: ReportData) -> Content:
    """NELBO and accuracy over the steps of training, and on validation images if there are any."""
    points, arms = data.frames.points, data.arm_names
    return Content(draw_plots=lambda: draw_first_arms(_draw_curves, points, arms))


SECTION = Section("curves", "Learning curves", build)


def _draw_curves(points: pd.DataFrame, palette: "Colours") -> Iterator[Plot]:
    """A plot of each metric that has points."""
    from analysis.plots.learning_curves import draw_learning_curves

    for metric in (METRIC_BY_COLUMN["nelbo"], VALIDATION_NELBO, ACCURACY, VALIDATION_ACCURACY):
        watched = points.dropna(subset=[metric.name])
        if len(watched):
            caption = (
                f"{CAPTIONS[metric.name]}. Lines are means over n seeds, bands their 95 % "
                "t-intervals."
            )
            # the curve of the NELBO is that of the training batches
            name = metric.title if metric.name == "nelbo" else metric.title_with_set
            title = f"Learning curves, {name}"
            figure = draw_learning_curves(watched, metric, palette)
            yield Plot(f"curves-{metric.name}", title, caption, figure)
