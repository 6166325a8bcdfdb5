"""Tests of counts over classes: against uniform, and of one model against another."""

import numpy as np
from scipy.special import chdtrc

from analysis.stats.differences import Floats


def imbalance(counts: Floats) -> Floats:
    """Total variation distance of counts (..., classes) from uniform, a fraction: (...).

    It is nan without samples.

    >>> imbalance(np.array([10.0, 10.0, 10.0, 30.0])).round(3).item()
    0.25
    """
    total = counts.sum(axis=-1, keepdims=True)
    shares = np.divide(counts, total, where=total > 0, out=np.full_like(counts, np.nan))
    distance: Floats = np.abs(shares - 1 / counts.shape[-1]).sum(axis=-1) / 2
    return distance


def uniformity_test(counts: Floats) -> tuple[float, float]:
    """Counts (classes,) -> chi-squared against equal counts, and its p."""
    expected = counts.sum() / len(counts)
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    return chi2, float(chdtrc(len(counts) - 1, chi2))


def homogeneity_test(a: Floats, b: Floats) -> tuple[float, int, float]:
    """Counts (classes,) of two models -> chi-squared of equal shares, degrees of freedom, p."""
    chi2, df, p = batched_homogeneity_test(a[None], b[None])
    return float(chi2[0]), int(df[0]), float(p[0])


def batched_homogeneity_test(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """`homogeneity_test` of each row: a, b (pairs, classes), no row without samples -> (pairs,).

    A class without a count in either row is left out of the degrees of freedom.
    """
    both = a + b
    seen, total = both > 0, both.sum(axis=1, keepdims=True)
    chi2 = np.zeros(len(a))
    for counts in (a, b):
        expected = np.where(seen, both * counts.sum(axis=1, keepdims=True) / total, 1.0)
        chi2 += np.where(seen, (counts - expected) ** 2 / expected, 0.0).sum(axis=1)
    df = seen.sum(axis=1) - 1.0
    p = np.where(df > 0, chdtrc(np.maximum(df, 1.0), chi2), 1.0)
    return np.where(df > 0, chi2, 0.0), df, p
