"""What a row holds of log p(x): an ELBO, the exact value or nothing; a number of one kind never
stands for another.

A model without a bound may give zeros for its KL and reconstruction, or its exact likelihood under
their names. They are taken out once, where rows are read, so that no table, plot or verdict sets
them beside an ELBO.
"""

import numpy as np
import pandas as pd

from analysis.frames.metrics import PREFIXES
from harness.experiment.metrics import BOUNDS

ELBO, EXACT, NONE = "elbo", "exact", "none"
HELD = {ELBO: "an ELBO", EXACT: "an exact likelihood", NONE: "no bound"}
_LOSSES = ["nelbo", "kl", "rec"]


def told(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table -> the same with `estimator` in every row that was scored, and bounds where
    they are bounds.

    Rows that older versions wrote do not name their kind: losses that are all zero are none, all
    else is an ELBO.
    """
    nelbo, kl, rec = (rows[name].astype(float) for name in _LOSSES)
    silent = rows["estimator"].isna() & nelbo.notna()
    nothing = (nelbo == 0) & (kl == 0) & (rec == 0)
    kind = rows["estimator"].mask(silent, np.where(nothing, NONE, ELBO))
    other = kind.notna() & (kind != ELBO)
    bounds = [
        name
        for name in (prefix + bound for prefix in PREFIXES.values() for bound in BOUNDS)
        if name in rows
    ]
    return rows.assign(estimator=kind, **{name: rows[name].mask(other) for name in bounds})


def of_curve(points: pd.DataFrame, kind: object) -> pd.DataFrame:
    """A learning curve of a cell of this kind, its losses taken out where they are no bound."""
    other = isinstance(kind, str) and kind != ELBO
    return points.assign(**dict.fromkeys(_LOSSES, np.nan)) if other else points
