"""What a row holds of log p(x): an ELBO, the exact value or nothing; a number of one kind never
stands for another.

A model without a bound may give zeros for its KL and reconstruction, or its exact likelihood under
their names. They are taken out once, where rows are read, so that no table, plot or verdict sets
them beside an ELBO.
"""

import numpy as np
import pandas as pd

from analysis.frames.metrics import COLUMN_PREFIXES
from harness.experiment.metrics import BOUND_METRICS

ELBO, EXACT, NONE = "elbo", "exact", "none"
ESTIMATOR_NAMES = {ELBO: "an ELBO", EXACT: "an exact likelihood", NONE: "no bound"}
_LOSSES = ["nelbo", "kl", "rec"]


def fill_estimators(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table -> the same with `estimator` in every row that was scored, and bounds where
    they are bounds.

    Rows that older versions wrote do not name their kind: losses that are all zero are none, all
    else is an ELBO.
    """
    nelbo, kl, rec = (rows[name].astype(float) for name in _LOSSES)
    unnamed = rows["estimator"].isna() & nelbo.notna()
    all_zero = (nelbo == 0) & (kl == 0) & (rec == 0)
    estimator = rows["estimator"].mask(unnamed, np.where(all_zero, NONE, ELBO))
    not_elbo = estimator.notna() & (estimator != ELBO)
    bounds = [
        name
        for name in (
            prefix + bound for prefix in COLUMN_PREFIXES.values() for bound in BOUND_METRICS
        )
        if name in rows
    ]
    return rows.assign(estimator=estimator, **{name: rows[name].mask(not_elbo) for name in bounds})


def mask_curve(points: pd.DataFrame, estimator: object) -> pd.DataFrame:
    """A learning curve of a cell of this kind, its losses taken out where they are no bound."""
    not_elbo = isinstance(estimator, str) and estimator != ELBO
    return points.assign(**dict.fromkeys(_LOSSES, np.nan)) if not_elbo else points
