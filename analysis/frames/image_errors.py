"""Standard errors over the images of an evaluation set, beside those over seeds.

They say how far a score of these images may be from that of all such images, whatever the seed.
"""

import json

import numpy as np
import pandas as pd

from analysis.frames.metrics import METRIC_BY_COLUMN

COLUMN = "evaluation_se"


def mean_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table with `arm` -> (arms, metrics): mean over finished seeds, in the table's units.

    Rows of older tables have none.
    """
    finished = rows[rows["status"] == "ok"]
    if COLUMN not in finished:
        return pd.DataFrame()
    known = finished[finished[COLUMN].notna()]
    parsed = pd.DataFrame([json.loads(text) for text in known[COLUMN]], index=known["arm"])
    return parsed.groupby(level=0).mean()


def add_image_errors(estimates: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Scaled `estimate_arms` -> the same with `image_se` in its units, where the rows have any."""
    errors = mean_errors(rows)
    if errors.empty:
        return estimates
    factors = {column: metric.factor for column, metric in METRIC_BY_COLUMN.items()}
    found = [
        errors.at[arm, metric] * factors.get(metric, 1.0)
        if arm in errors.index and metric in errors.columns
        else np.nan
        for arm, metric in zip(estimates["arm"], estimates["metric"], strict=True)
    ]
    return estimates.assign(image_se=found)
