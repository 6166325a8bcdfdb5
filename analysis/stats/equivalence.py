"""Whether two arms are the same within a margin: two one-sided t-tests.

Schuirmann (1987), J. Pharmacokin. Biopharm. 15:657. Samples have the seeds on the last axis, one
comparison per row; the margin is in the unit of the values. The p is that of means a margin or more
apart: a small one shows equivalence. A difference that does not vary has no t; both one-sided tests
are then permutations, and within the margin p is the smallest that one direction can have.
"""

from math import comb

import numpy as np

from analysis.stats.differences import ROUNDING_TOLERANCE, Floats
from analysis.stats.summary_tests import TTest, paired_test, summarize, welch_test


def paired(a: Floats, b: Floats, margin: float) -> Floats:
    """p of means a margin or more apart: a, b (comparisons, pairs) -> (comparisons,)."""
    return _tost_p(paired_test(summarize(a - b)), a, b, margin, floor=0.5 ** a.shape[-1])


def welch(a: Floats, b: Floats, margin: float) -> Floats:
    """The same of independent samples: a (comparisons, n_a), b (comparisons, n_b)."""
    floor = 1 / comb(a.shape[-1] + b.shape[-1], a.shape[-1])
    return _tost_p(welch_test(summarize(a), summarize(b)), a, b, margin, floor)


def _tost_p(test: TTest, a: Floats, b: Floats, margin: float, floor: float) -> Floats:
    """nan below two seeds; without any spread 1 beyond the margin and `floor` within it."""
    if min(a.shape[-1], b.shape[-1]) < 2:
        return np.full(len(a), np.nan)
    spread = (
        np.ptp(a - b, axis=-1) if a.shape == b.shape else np.ptp(a, axis=-1) + np.ptp(b, axis=-1)
    )
    no_spread = spread <= ROUNDING_TOLERANCE * np.maximum(
        np.abs(a).max(axis=-1), np.abs(b).max(axis=-1)
    )
    beyond_margin = np.abs(a.mean(axis=-1) - b.mean(axis=-1)) >= margin
    return np.where(no_spread, np.where(beyond_margin, 1.0, floor), test.tost_p(margin))
