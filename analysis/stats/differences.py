"""Two samples against each other: difference of the means, interval, p, effect size and pairs.

Samples a and b have the seeds on the last axis, one comparison per row, without missing values.
Differences are a - b, in the unit of the values; every result is (comparisons,).
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtrit

from analysis.stats import permutation
from analysis.stats.summary_tests import TTest, paired_test, summarize, welch_test
from analysis.stats.thresholds import MIN_SEEDS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# The least number of pairs whose sign test can reach .05. Of two samples, five each: 2 / 252.
MIN_PAIRS = 6
# Relative to the means: a smaller standard error is rounding.
ROUNDING_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Difference:
    """What two samples show about the difference of their means; nan where n is too small.

    With m seeds per arm the standard error would be sd_per_seed / √m and the degrees of freedom
    df_per_seed · (m - 1); power is computed from these. g is Hedges' g. superiority is P(A > B) +
    P(A = B) / 2 of two seeds drawn at random. correlation is that of the pairs. p_exact is that of
    the permutations, given from 6 pairs or from 5 seeds in each of two samples: with fewer it
    cannot reach .05, or no verdict is given. It is not given above `permutation.MAX_SEEDS` either.
    p_floor is the smallest value it can take.
    """

    mean_a: Floats
    mean_b: Floats
    difference: Floats
    se: Floats
    df: Floats
    sd_per_seed: Floats
    df_per_seed: Floats
    low: Floats
    high: Floats
    p: Floats
    g: Floats
    superiority: Floats
    correlation: Floats
    p_exact: Floats
    p_floor: Floats


def paired(a: Floats, b: Floats) -> Difference:
    """Student's t of the pairs: a, b (comparisons, pairs)."""
    pairs, within = a.shape[-1], summarize(a - b)
    nans = np.full(len(a), np.nan)
    return _collect_statistics(
        paired_test(within),
        a,
        b,
        sd_per_seed=within.sd,
        df_per_seed=np.ones(len(a)),
        g_df=pairs - 1,
        correlation=_correlation(a, b),
        p_exact=permutation.sign_flip_p(a, b)
        if MIN_PAIRS <= pairs <= permutation.MAX_SEEDS
        else nans,
        p_floor=np.full(len(a), permutation.min_sign_flip_p(pairs)) if pairs else nans,
    )


def welch(a: Floats, b: Floats) -> Difference:
    """Welch's t of two independent samples: a (comparisons, n_a), b (comparisons, n_b)."""
    sizes, nans = (a.shape[-1], b.shape[-1]), np.full(len(a), np.nan)
    one, other = summarize(a), summarize(b)
    variance, squares = one.sd**2 + other.sd**2, one.sd**4 + other.sd**4
    return _collect_statistics(
        welch_test(one, other),
        a,
        b,
        sd_per_seed=np.sqrt(variance),
        df_per_seed=np.where(squares > 0, variance**2 / np.where(squares > 0, squares, 1.0), 1.0),
        g_df=sum(sizes) - 2,
        correlation=nans,
        p_exact=permutation.two_sample_p(a, b)
        if min(sizes) >= MIN_SEEDS and max(sizes) <= permutation.MAX_SEEDS
        else nans,
        p_floor=np.full(len(a), permutation.min_two_sample_p(*sizes)) if min(sizes) else nans,
    )


def half_width(se: Floats, df: Floats, alpha: Floats | float) -> Floats:
    """Half the width of the two-sided t-interval of level 1 - alpha: (comparisons,)."""
    half: Floats = stdtrit(df, 1 - np.asarray(alpha) / 2) * se
    return half


def has_no_spread(se: Floats, a: Floats, b: Floats) -> Bools:
    """Whether a standard error is zero up to rounding; a, b are the means: (comparisons,)."""
    return np.asarray(se <= ROUNDING_TOLERANCE * np.maximum(np.abs(a), np.abs(b)))


def hedges_g(a: Floats, b: Floats, df: Floats) -> Floats:
    """Hedges' g: mean difference over the SD within the arms, times J(df): (comparisons,).

    J(m) = Γ(m/2) / (√(m/2) Γ((m - 1)/2)), Hedges (1981), J. Educ. Stat. 6:107, eq. 6e. The SD is
    the root of the mean variance of the arms, weighted by their degrees of freedom, for pairs as
    well: Bonett (2008), Psychol. Methods 13:99; Cumming (2012), Understanding the New Statistics,
    ch. 11, where m is the number of pairs less one. The SD of Borenstein et al. (2009),
    Introduction to Meta-Analysis, eq. 4.27, is equal if both arms have the same SD; if not, it is
    the SD of neither and grows as the correlation nears 1.
    """
    freedom = a.shape[-1] + b.shape[-1] - 2
    squares = _variance(a) * (a.shape[-1] - 1) + _variance(b) * (b.shape[-1] - 1)
    sd = np.sqrt(squares / freedom)
    correction = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    difference = a.mean(axis=-1) - b.mean(axis=-1)
    no_spread = has_no_spread(sd, a.mean(axis=-1), b.mean(axis=-1))
    return np.where(no_spread, np.nan, difference / np.where(no_spread, 1.0, sd)) * np.where(
        df > 1, correction, np.nan
    )


def superiority(a: Floats, b: Floats) -> Floats:
    """P(A > B) + P(A = B) / 2 for one seed of each drawn at random: (comparisons,).

    It is U / (n_a · n_b): Mann, Whitney (1947), Ann. Math. Stat. 18:50.
    """
    from scipy.stats import mannwhitneyu

    if not a.size or not b.size:
        return np.full(len(a), np.nan)
    u = mannwhitneyu(a, b, axis=-1, method="asymptotic").statistic
    return np.asarray(u / (a.shape[-1] * b.shape[-1]))


def _collect_statistics(test: TTest, a: Floats, b: Floats, g_df: int, **more: Floats) -> Difference:
    """A t-test with the other statistics of its samples.

    A difference that does not vary has no t: its p is `p_floor`, of equal means 1.
    """
    mean_a, mean_b = summarize(a).mean, summarize(b).mean
    difference, p, (low, high) = mean_a - mean_b, test.p, test.interval
    df, g = (np.full(len(a), np.nan) for _ in range(2))
    if min(a.shape[-1], b.shape[-1]) > 1:
        no_spread = has_no_spread(test.se, mean_a, mean_b)
        equal = has_no_spread(np.abs(difference), mean_a, mean_b)
        p = np.where(no_spread, np.where(equal, 1.0, more["p_floor"]), p)
        df = np.where(no_spread, min(a.shape[-1], b.shape[-1]) - 1.0, test.df)
        low, high = (np.where(no_spread, difference, bound) for bound in (low, high))
        g = hedges_g(a, b, np.full(len(a), float(g_df)))
    statistics = {"low": low, "high": high, "p": p, "g": g, "superiority": superiority(a, b)}
    return Difference(
        mean_a=mean_a,
        mean_b=mean_b,
        difference=difference,
        se=test.se,
        df=df,
        **statistics,
        **more,
    )


def _variance(values: Floats) -> Floats:
    return np.asarray(np.var(values, axis=-1, ddof=1))


def _correlation(a: Floats, b: Floats) -> Floats:
    """Pearson's correlation of the pairs, nan where an arm does not vary: (comparisons,)."""
    from scipy.stats import pearsonr

    nans = np.full(len(a), np.nan)
    if a.shape[-1] < 3:
        return nans
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # constant samples: nan
        r = np.asarray(pearsonr(a, b, axis=-1).statistic)
    varies = [np.ptp(x, axis=-1) > ROUNDING_TOLERANCE * np.abs(x).max(axis=-1) for x in (a, b)]
    return np.where(varies[0] & varies[1], r, np.nan)
