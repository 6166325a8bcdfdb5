"""A family of comparisons: p-values corrected together, and the level at which each was tested.

Holm (1979), Scand. J. Stat. 6:65, keeps the chance of any false difference below alpha; Benjamini
and Hochberg (1995), J. R. Stat. Soc. B 57:289, the expected share of false ones among those that
are claimed.
"""

from typing import Literal

import numpy as np

from analysis.stats.differences import Floats
from analysis.stats.thresholds import ALPHA

Correction = Literal["holm", "bh"]


def adjust_p_values(p: Floats, correction: Correction) -> Floats:
    """p-values of one family -> corrected ones, to be compared with .05: (comparisons,) ->
    (comparisons,).
    """
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
    """The alpha at which each p was tested, given what `adjust_p_values` made of them:
    (comparisons,) -> (comparisons,).

    An interval of level 1 - alpha leaves out zero exactly where the corrected p says that there is
    a difference. Holm tests the k-th smallest p at .05 / (m - k + 1) and stops at the first that is
    larger; what comes after stays at the level of the stop. With Benjamini-Hochberg all have .05 ·
    R / m, R being how many are claimed, which are the intervals of Benjamini and Yekutieli (2005),
    J. Am. Stat. Assoc. 100:71. The smallest p of a Holm family has Bonferroni's interval; the
    intervals together do not claim to hold all at once.
    """
    n_tests = len(p)
    n_claimed = int((p_adjusted <= ALPHA).sum())
    if correction == "bh":
        return np.full(n_tests, ALPHA * max(n_claimed, 1) / max(n_tests, 1))
    rank = np.argsort(np.argsort(p, kind="stable")) + 1
    steps = np.minimum(rank, min(n_claimed + 1, n_tests))
    return np.asarray(ALPHA / (n_tests - steps + 1))


CORRECTION_NAMES = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
