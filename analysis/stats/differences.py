"""Two samples against each other: the difference of their means, its interval and p, its size, and
what pairs allow.

Samples a and b hold the seeds on the last axis, one comparison a row; nothing is missing.
Differences are a - b, in the unit of the values; every result is (comparisons,).
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtrit

from analysis.stats import permutation
from analysis.stats.thresholds import CONFIDENCE, MIN_SEEDS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# from which the signs of pairs can reach .05; of two samples the divisions can from five each, 2 /
# 252
MIN_PAIRS = 6
ROUNDING_TOLERANCE = (
    1e-12  # relative to the means: a smaller standard error is no spread but rounding
)


@dataclass(frozen=True)
class Difference:
    """What two samples say about the difference of their means, each (comparisons,); nan where n
    cannot say it.

    se and df belong to the difference: m seeds an arm would give se = spread / √m and df = freedom
    · (m - 1), of which power is computed; g is Hedges'; superiority is P(A > B) + P(A = B) / 2 of
    two seeds drawn at random; correlation belongs to pairs alone. p_exact is that of the
    permutations, from 6 pairs or 5 seeds in each of two samples on: below, it cannot reach .05 or
    nothing is judged. p_floor is the smallest p that it can have.
    """

    mean_a: Floats
    mean_b: Floats
    difference: Floats
    se: Floats
    df: Floats
    spread: Floats
    freedom: Floats
    low: Floats
    high: Floats
    p: Floats
    g: Floats
    superiority: Floats
    correlation: Floats
    p_exact: Floats
    p_floor: Floats


def paired(a: Floats, b: Floats) -> Difference:
    """Student's t of the pairs: a, b (comparisons, pairs); Student (1908), Biometrika 6:1."""
    from scipy.stats import ttest_rel  # two seconds, which bad input need not wait for; so below

    pairs = a.shape[-1]
    sd = np.asarray(np.std(a - b, axis=-1, ddof=1)) if pairs > 1 else np.full(len(a), np.nan)
    return _from_t_test(
        ttest_rel,
        a,
        b,
        spread=sd,
        freedom=np.ones(len(a)),
        se=sd / math.sqrt(max(pairs, 1)),
        g_df=np.full(len(a), pairs - 1.0),
        correlation=_correlation(a, b),
        p_exact=permutation.sign_flip_p(a, b) if pairs >= MIN_PAIRS else np.full(len(a), np.nan),
        p_floor=np.full(len(a), permutation.min_sign_flip_p(pairs) if pairs else np.nan),
    )


def welch(a: Floats, b: Floats) -> Difference:
    """Welch's t of two independent samples: a (comparisons, n_a), b (comparisons, n_b); Welch
    (1947), Biometrika.
    """
    from scipy.stats import ttest_ind

    nans = np.full(len(a), np.nan)
    sizes = a.shape[-1], b.shape[-1]
    variances = [_variance(x) if x.shape[-1] > 1 else nans for x in (a, b)]
    both = variances[0] + variances[1]
    squares = variances[0] ** 2 + variances[1] ** 2
    return _from_t_test(
        lambda x, y, axis: ttest_ind(x, y, axis=axis, equal_var=False),
        a,
        b,
        spread=np.sqrt(both),
        freedom=np.where(squares > 0, both**2 / np.where(squares > 0, squares, 1.0), 1.0),
        se=np.sqrt(variances[0] / max(a.shape[-1], 1) + variances[1] / max(b.shape[-1], 1)),
        g_df=np.full(len(a), a.shape[-1] + b.shape[-1] - 2.0),
        correlation=nans,
        p_exact=permutation.two_sample_p(a, b) if min(sizes) >= MIN_SEEDS else nans,
        p_floor=np.full(len(a), permutation.min_two_sample_p(*sizes)) if min(sizes) else nans,
    )


def half_width(se: Floats, df: Floats, alpha: Floats | float) -> Floats:
    """Half the width of the two-sided t-interval of level 1 - alpha: (comparisons,)."""
    half: Floats = stdtrit(df, 1 - np.asarray(alpha) / 2) * se
    return half


def has_no_spread(se: Floats, a: Floats, b: Floats) -> Bools:
    """Where a standard error is zero but for rounding; a, b are the means: (comparisons,)."""
    return np.asarray(se <= ROUNDING_TOLERANCE * np.maximum(np.abs(a), np.abs(b)))


def hedges_g(a: Floats, b: Floats, df: Floats) -> Floats:
    """Hedges' g: mean difference over the SD within the arms, times J(df): (comparisons,).

    J(m) = Γ(m/2) / (√(m/2) Γ((m - 1)/2)), Hedges (1981), J. Educ. Stat. 6:107, eq. 6e. The SD is
    the root of the mean variance of the two arms, each with the weight of its degrees of freedom;
    of pairs too: Bonett (2008), Psychol. Methods 13:99; Cumming (2012), Understanding the New
    Statistics, ch. 11, where m is the number of pairs less one. That of Borenstein et al. (2009),
    Introduction to Meta-Analysis, eq. 4.27, SD of the differences / √(2(1 - r)), is the same where
    both arms have one SD, and where they have not it is no SD of either and grows as r nears 1.
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
    """P(A > B) + P(A = B) / 2 for one seed of each drawn at random, 1 or 0 without overlap:
    (comparisons,).

    It is Mann and Whitney's U over n_a · n_b: Mann, Whitney (1947), Ann. Math. Stat. 18:50.
    """
    from scipy.stats import mannwhitneyu

    if not a.size or not b.size:
        return np.full(len(a), np.nan)
    u = mannwhitneyu(a, b, axis=-1, method="asymptotic").statistic
    return np.asarray(u / (a.shape[-1] * b.shape[-1]))


def _from_t_test(
    test: Any, a: Floats, b: Floats, se: Floats, g_df: Floats, **more: Floats
) -> Difference:
    """The result of a t-test of scipy's, nan where there is too little to test.

    A difference that does not vary has no t: its p is the least of the permutations, of pairs that
    of the sign test.
    """
    nans = np.full(len(a), np.nan)
    means = [np.asarray(x.mean(axis=-1)) if x.shape[-1] else nans for x in (a, b)]
    difference = np.asarray(means[0] - means[1])
    df, p, low, high, g = nans, nans, nans, nans, nans
    if min(a.shape[-1], b.shape[-1]) > 1:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # samples without spread, which are mended below
            warnings.simplefilter("ignore", RuntimeWarning)
            result = test(a, b, axis=-1)
            df, p = result.df, result.pvalue
            low, high = result.confidence_interval(CONFIDENCE)
        no_spread = has_no_spread(se, *means)
        same = np.abs(difference) <= ROUNDING_TOLERANCE * np.maximum(
            np.abs(means[0]), np.abs(means[1])
        )
        p = np.where(no_spread, np.where(same, 1.0, more["p_floor"]), p)
        df = np.where(no_spread, min(a.shape[-1], b.shape[-1]) - 1.0, df)
        low, high = (np.where(no_spread, difference, bound) for bound in (low, high))
        g = hedges_g(a, b, g_df)
    statistics = {"low": low, "high": high, "p": p, "g": g, "superiority": superiority(a, b)}
    return Difference(
        mean_a=means[0], mean_b=means[1], difference=difference, se=se, df=df, **statistics, **more
    )


def _variance(values: Floats) -> Floats:
    return np.asarray(np.var(values, axis=-1, ddof=1))


def _correlation(a: Floats, b: Floats) -> Floats:
    """Pearson's correlation of the pairs, nan where an arm does not vary: (comparisons, pairs) ->
    (comparisons,).
    """
    from scipy.stats import pearsonr

    nans = np.full(len(a), np.nan)
    if a.shape[-1] < 3:
        return nans
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # constant samples: nan
        r = np.asarray(pearsonr(a, b, axis=-1).statistic)
    varies = [np.ptp(x, axis=-1) > ROUNDING_TOLERANCE * np.abs(x).max(axis=-1) for x in (a, b)]
    return np.where(varies[0] & varies[1], r, np.nan)
