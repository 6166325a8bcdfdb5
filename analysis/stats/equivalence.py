"""Whether two arms are the same within a margin: two one-sided t-tests.

Schuirmann (1987), J. Pharmacokin. Biopharm. 15:657.

Samples hold the seeds on the last axis, one comparison a row; the margin is in the unit of the
values. The p is that of "the means lie a margin or more apart": a small one says that they are
equivalent. Where the difference does not vary there is no t, and both one-sided tests are
permutations: within the margin p is the least that one direction can have.
"""

from collections.abc import Callable
from math import comb

import numpy as np

from analysis.stats.differences import ROUNDING_TOLERANCE, Floats


def paired(a: Floats, b: Floats, margin: float) -> Floats:
    """p of a margin or more apart, of pairs: (comparisons, pairs) twice -> (comparisons,)."""
    # half a second, which bad input need not wait for
    from statsmodels.stats.weightstats import ttost_paired

    floor = 0.5 ** a.shape[-1]
    return _tost_p(a, b, margin, floor, lambda x, y: ttost_paired(x, y, -margin, margin)[0])


def welch(a: Floats, b: Floats, margin: float) -> Floats:
    """p of a margin or more apart, of independent samples: (comparisons, n_a), (comparisons, n_b)
    -> (comparisons,).
    """
    from statsmodels.stats.weightstats import ttost_ind

    floor = 1 / comb(a.shape[-1] + b.shape[-1], a.shape[-1])
    return _tost_p(
        a, b, margin, floor, lambda x, y: ttost_ind(x, y, -margin, margin, usevar="unequal")[0]
    )


def _tost_p(
    a: Floats, b: Floats, margin: float, floor: float, test: Callable[[Floats, Floats], Floats]
) -> Floats:
    """The test's p; nan below two seeds; where nothing varies 1 beyond the margin and within it the
    floor.
    """
    if min(a.shape[-1], b.shape[-1]) < 2:
        return np.full(len(a), np.nan)
    with np.errstate(all="ignore"):
        p = np.asarray(test(a.T, b.T))
    spread = (
        np.ptp(a - b, axis=-1) if a.shape == b.shape else np.ptp(a, axis=-1) + np.ptp(b, axis=-1)
    )
    no_spread = spread <= ROUNDING_TOLERANCE * np.maximum(
        np.abs(a).max(axis=-1), np.abs(b).max(axis=-1)
    )
    beyond_margin = np.abs(a.mean(axis=-1) - b.mean(axis=-1)) >= margin
    return np.where(no_spread, np.where(beyond_margin, 1.0, floor), p)
