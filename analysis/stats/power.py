"""What seeds can show: the smallest difference found with 80 % power, and the seeds that a
difference asks for.

Power is that of the two-sided t-test to find a difference in its own direction, from the noncentral
t distribution: Cohen (1988), Statistical Power Analysis, ch. 2; the calls are statsmodels' and
scipy's. All arrays are (comparisons,).
"""

import numpy as np

from analysis.stats.differences import Floats
from analysis.stats.thresholds import FEW, POWER

MOST = 100_000  # what asks for more seeds is told as infinite
_STRONGEST = 1e6  # standard errors: found with two seeds at alpha = 1e-5


def power(effect: Floats, df: Floats, alpha: Floats) -> Floats:
    """Chance to find a difference of `effect` standard errors: (comparisons,) thrice ->
    (comparisons,).
    """
    from statsmodels.stats.power import ttest_power  # a second, which bad input need not wait for

    found = ttest_power(effect, 1, alpha / 2, df=df, alternative="larger")
    # scipy's answer where the chance is all but 1
    return np.where(np.isnan(found) & (effect > 10), 1.0, found)


def detectable(se: Floats, df: Floats, alpha: Floats) -> Floats:
    """Smallest difference that is found with 80 % power, in the unit of se: (comparisons,) thrice
    -> (comparisons,).
    """
    from scipy.optimize import elementwise

    found = np.full(se.shape, np.nan)
    known = np.isfinite(se) & (df > 0)
    if known.any():
        asked, place = np.unique([df[known], alpha[known]], axis=1, return_inverse=True)
        ends = np.zeros(asked.shape[1]), np.full(asked.shape[1], _STRONGEST)
        found[known] = elementwise.find_root(_short, ends, args=tuple(asked)).x[place] * se[known]
    return found


def seeds_needed(difference: Floats, spread: Floats, freedom: Floats, alpha: Floats) -> Floats:
    """Seeds an arm that find this difference with 80 % power, five at least; infinite beyond
    100,000: (comparisons,).

    `spread` and `freedom` are those of `difference.Difference`: with m seeds the standard error is
    spread / √m and the degrees of freedom are freedom · (m - 1).
    """
    from scipy.optimize import elementwise

    found = np.where(np.isfinite(difference) & np.isfinite(spread), float(FEW), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(difference == 0, 0.0, np.minimum(np.abs(difference) / spread, _STRONGEST))
    args = effect, freedom, alpha
    found[_short_by(np.full(effect.shape, float(MOST)), *args) < 0] = np.inf
    between = (_short_by(np.full(effect.shape, float(FEW)), *args) < 0) & np.isfinite(found)
    if between.any():
        ends = np.full(between.sum(), float(FEW)), np.full(between.sum(), float(MOST))
        root = elementwise.find_root(_short_by, ends, args=tuple(arg[between] for arg in args)).x
        found[between] = np.ceil(root - 1e-6)
    return found


def _short(effect: Floats, df: Floats, alpha: Floats) -> Floats:
    return power(effect, df, alpha) - POWER


def _short_by(seeds: Floats, effect: Floats, freedom: Floats, alpha: Floats) -> Floats:
    return _short(effect * np.sqrt(seeds), freedom * (seeds - 1), alpha)
