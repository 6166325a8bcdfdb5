"""Power: the smallest difference found with 80 % power, and the seeds that a difference needs.

Power is the probability that the two-sided t-test finds a difference in its own direction, from the
noncentral t distribution: Cohen (1988), Statistical Power Analysis, ch. 2. All arrays are
(comparisons,).

The roots are found for all comparisons together. statsmodels' `TTestPower.solve_power` finds one at
a time: on 10,000 comparisons it takes 6.5 s for the difference and 5.6 s for the seeds, this module
0.7 s and 0.5 s.
"""

import numpy as np

from analysis.stats.differences import Floats
from analysis.stats.thresholds import MIN_SEEDS, POWER

MAX_SEEDS = 100_000  # more than these are reported as infinite
_MAX_EFFECT = 1e6  # standard errors: found with two seeds at alpha = 1e-5


def t_test_power(effect: Floats, df: Floats, alpha: Floats) -> Floats:
    """Probability to find a difference of `effect` standard errors: (comparisons,)."""
    from statsmodels.stats.power import ttest_power  # slow to import

    power = ttest_power(effect, 1, alpha / 2, df=df, alternative="larger")
    # scipy returns nan where the power is nearly 1
    return np.where(np.isnan(power) & (effect > 10), 1.0, power)


def detectable_difference(se: Floats, df: Floats, alpha: Floats) -> Floats:
    """Smallest difference that is found with 80 % power, in the unit of se: (comparisons,)."""
    from scipy.optimize import elementwise

    differences = np.full(se.shape, np.nan)
    known = np.isfinite(se) & (df > 0)
    if known.any():
        cases, place = np.unique([df[known], alpha[known]], axis=1, return_inverse=True)
        bracket = np.zeros(cases.shape[1]), np.full(cases.shape[1], _MAX_EFFECT)
        differences[known] = (
            elementwise.find_root(_power_gap, bracket, args=tuple(cases)).x[place] * se[known]
        )
    return differences


def seeds_needed(
    difference: Floats, sd_per_seed: Floats, df_per_seed: Floats, alpha: Floats
) -> Floats:
    """Seeds per arm that find this difference with 80 % power, at least 5: (comparisons,).

    It is infinite beyond `MAX_SEEDS`. For sd_per_seed and df_per_seed see
    `analysis.stats.differences.Difference`.
    """
    from scipy.optimize import elementwise

    needed = np.where(np.isfinite(difference) & np.isfinite(sd_per_seed), float(MIN_SEEDS), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(
            difference == 0, 0.0, np.minimum(np.abs(difference) / sd_per_seed, _MAX_EFFECT)
        )
    args = effect, df_per_seed, alpha
    needed[_power_gap_at(np.full(effect.shape, float(MAX_SEEDS)), *args) < 0] = np.inf
    solvable = (_power_gap_at(np.full(effect.shape, float(MIN_SEEDS)), *args) < 0) & np.isfinite(
        needed
    )
    if solvable.any():
        bracket = (
            np.full(solvable.sum(), float(MIN_SEEDS)),
            np.full(solvable.sum(), float(MAX_SEEDS)),
        )
        root = elementwise.find_root(
            _power_gap_at, bracket, args=tuple(arg[solvable] for arg in args)
        ).x
        needed[solvable] = np.ceil(root - 1e-6)
    return needed


def _power_gap(effect: Floats, df: Floats, alpha: Floats) -> Floats:
    return t_test_power(effect, df, alpha) - POWER


def _power_gap_at(seeds: Floats, effect: Floats, df_per_seed: Floats, alpha: Floats) -> Floats:
    return _power_gap(effect * np.sqrt(seeds), df_per_seed * (seeds - 1), alpha)
