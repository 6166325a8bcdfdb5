"""Mean of a few runs: n, SD, SE and the 95 % t-interval.

The interval is the mean ± t(0.975, n - 1) · SE, that of `scipy.stats.ttest_1samp(x,
0).confidence_interval()`; SD has n - 1 in its denominator. At n = 1 there is no SD, no SE and no
interval: they are nan, never zero.
"""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.stats.thresholds import CONFIDENCE


def estimate_means(frame: pd.DataFrame, by: list[str], column: str) -> pd.DataFrame:
    """One row per group of `by`: n, mean, sd, se, low, high of `column`; n leaves out nan.

    >>> runs = pd.DataFrame({"arm": "a", "nelbo": [1, 2, 3, 4, 5]})
    >>> print(estimate_means(runs, ["arm"], "nelbo").round(3).to_string(index=False))
    arm  n  mean    sd    se   low  high
      a  5   3.0 1.581 0.707 1.037 4.963
    """
    groups = frame.groupby(by, sort=False, dropna=False)[column]
    table = groups.agg(n="count", mean="mean", sd="std").reset_index()
    several = table["n"].where(table["n"] > 1)
    table["se"] = table["sd"] / np.sqrt(several)
    half = stdtrit(several - 1, (1 + CONFIDENCE) / 2) * table["se"]
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)
