"""Which estimate of log p(x) a row holds (ELBO, exact value, none), so that they are never mixed.

A model without a bound may report zeros as KL and reconstruction, or its exact likelihood under
their names. These are removed once, where rows are read, so that no table, plot or verdict compares
them with an ELBO.
"""

import numpy as np
import pandas as pd

from harness.experiment.metrics import is_bound

ELBO, EXACT, NONE = "elbo", "exact", "none"
ESTIMATOR_NAMES = {ELBO: "an ELBO", EXACT: "an exact likelihood", NONE: "no bound"}
_LOSSES = ["nelbo", "kl", "rec"]


def fill_estimators(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table -> the same with `estimator` in every scored row, and bounds of ELBOs only.

    Rows of older versions lack the estimator: it is "none" if all losses are zero, else "elbo".
    """
    nelbo, kl, rec = (rows[name].astype(float) for name in _LOSSES)
    unnamed = rows["estimator"].isna() & nelbo.notna()
    all_zero = (nelbo == 0) & (kl == 0) & (rec == 0)
    estimator = rows["estimator"].mask(unnamed, np.where(all_zero, NONE, ELBO))
    not_elbo = estimator.notna() & (estimator != ELBO)
    bounds = [name for name in map(str, rows) if is_bound(name.removeprefix("subset_"))]
    return rows.assign(estimator=estimator, **{name: rows[name].mask(not_elbo) for name in bounds})


def mask_curve(points: pd.DataFrame, estimator: object) -> pd.DataFrame:
    """A learning curve, with nan as losses if the cell's estimator is not an ELBO."""
    not_elbo = isinstance(estimator, str) and estimator != ELBO
    return points.assign(**dict.fromkeys(_LOSSES, np.nan)) if not_elbo else points
