"""Adjust the p-values of a family of tests, and find the level at which each was tested.

Holm (1979), Scand. J. Stat. 6:65, bounds the probability of any false difference by alpha;
Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57:289, the expected share of false ones among
those claimed.
"""

from typing import Literal

import numpy as np

from analysis.stats.differences import Floats
from analysis.stats.thresholds import ALPHA

Correction = Literal["holm", "bh"]


def adjust_p_values(p: Floats, correction: Correction) -> Floats:
    """p-values of one family -> adjusted ones, to be compared with .05: (comparisons,)."""
    order, n_tests = np.argsort(p, kind="stable"), len(p)
    if correction == "holm":
        raised = np.maximum.accumulate(p[order] * np.arange(n_tests, 0, -1))
    else:
        raised = np.minimum.accumulate((p[order] / (np.arange(1, n_tests + 1) / n_tests))[::-1])[
            ::-1
        ]
    corrected = np.empty(n_tests)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def alpha_levels(p: Floats, p_adjusted: Floats, correction: Correction) -> Floats:
    """The alpha at which each p was tested: p and p_adjusted (comparisons,) -> (comparisons,).

    An interval of level 1 - alpha excludes zero exactly where the adjusted p is at most .05. Holm
    tests the k-th smallest of m p-values at .05 / (m - k + 1) and stops at the first that is
    larger; the rest keep the level of the stop. With Benjamini-Hochberg all have .05 · R / m, where
    R are claimed: the intervals of Benjamini and Yekutieli (2005), J. Am. Stat. Assoc. 100:71. The
    intervals are not simultaneous.
    """
    n_tests = len(p)
    n_claimed = int((p_adjusted <= ALPHA).sum())
    if correction == "bh":
        return np.full(n_tests, ALPHA * max(n_claimed, 1) / max(n_tests, 1))
    rank = np.argsort(np.argsort(p, kind="stable")) + 1
    steps = np.minimum(rank, min(n_claimed + 1, n_tests))
    return np.asarray(ALPHA / (n_tests - steps + 1))


CORRECTION_NAMES = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
