"""Standard errors over the images of an evaluation set, beside those over seeds.

They say how far a score of these images may be from that of all such images, whatever the seed.
"""

import json

import numpy as np
import pandas as pd

from analysis.frames.metrics import METRIC_BY_COLUMN

COLUMN = "evaluation_se"


def mean_errors(rows: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Results table with `arm` -> mean over finished seeds by arm and column, in the table's units.

    Rows of older tables have none.
    """
    finished = rows[rows["status"] == "ok"]
    if COLUMN not in finished:
        return {}
    values: dict[tuple[str, str], list[float]] = {}
    for arm, text in finished.loc[finished[COLUMN].notna(), ["arm", COLUMN]].itertuples(
        index=False
    ):
        for metric, error in json.loads(text).items():
            values.setdefault((str(arm), metric), []).append(float(error))
    return {key: float(np.mean(errors)) for key, errors in values.items()}


def add_image_errors(estimates: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Scaled `estimate_arms` -> the same with `image_se` in its units, where the rows have any."""
    errors = mean_errors(rows)
    if not errors:
        return estimates
    factors = {column: metric.factor for column, metric in METRIC_BY_COLUMN.items()}
    found = [
        errors.get((arm, metric), np.nan) * factors.get(metric, 1.0)
        for arm, metric in zip(estimates["arm"], estimates["metric"], strict=True)
    ]
    return estimates.assign(image_se=found)
