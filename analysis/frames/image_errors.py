"""Standard errors over the images of an evaluation set, beside those over seeds.

They say how far a score of these images may be from that of all such images, whatever the seed.
"""

import json

import numpy as np
import pandas as pd

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


def find_errors(rows: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """The mean error for each row of a table with `arm` and `metric`; nan where there is none."""
    errors = mean_errors(rows)
    pairs = zip(table["arm"], table["metric"], strict=True)
    found = [
        errors.at[arm, metric] if arm in errors.index and metric in errors.columns else np.nan
        for arm, metric in pairs
    ]
    return pd.Series(found, table.index, dtype=float)
