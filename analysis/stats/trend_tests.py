"""Trend tests and slopes of values over ordered steps, such as β or the number of labels."""

from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from analysis.stats.differences import Floats

MAX_EXACT_STEPS = 8  # steps up to which all orders are tried: 40,320


def page_trend(values: Floats) -> tuple[float, float]:
    """Page's test: values (seeds, steps in order) -> two-sided p, and 1 (up) or -1 (down).

    Page (1963), J. Am. Stat. Assoc. 58:216. p is twice the smaller one-sided p. Its distribution is
    that over all orders of each seed's ranks, ties included: exact up to `MAX_EXACT_STEPS` steps,
    above that normal with the mean and variance over these orders.
    """
    # differences of fractions that are equal but for rounding are ties
    rounded = np.round(values, 12)
    # doubled, so that the ranks of ties are integers
    ranks = np.round(2 * rankdata(rounded, axis=1)).astype(int)
    steps = np.arange(1, values.shape[1] + 1)
    observed = int((ranks @ steps).sum())
    up, down = (
        _exact_p_values(ranks, observed)
        if len(steps) <= MAX_EXACT_STEPS
        else _normal_p_values(ranks, observed)
    )
    return min(1.0, 2 * min(up, down)), 1.0 if up <= down else -1.0


def _exact_p_values(ranks: NDArray[np.int64], observed: int) -> tuple[float, float]:
    """p of an L at least, and at most, as large as observed: ranks (seeds, steps)."""
    distribution = np.ones(1)
    for row in ranks:
        distribution = np.convolve(distribution, _null_distribution(tuple(sorted(row))))
    return float(distribution[observed:].sum()), float(distribution[: observed + 1].sum())


@cache
def _null_distribution(ranks: tuple[int, ...]) -> Floats:
    """Probability of each L from 0 on, for one seed with these ranks: (largest L + 1,)."""
    orders = np.array(list(permutations(ranks)))
    counts = np.bincount(orders @ np.arange(1, len(ranks) + 1))
    return np.asarray(counts / counts.sum())


def _normal_p_values(ranks: NDArray[np.int64], observed: int) -> tuple[float, float]:
    steps = np.arange(1, ranks.shape[1] + 1)
    mean = ranks.sum() * steps.mean()
    variance = (
        (np.var(ranks, axis=1) * steps.size).sum() * np.var(steps) * steps.size / (steps.size - 1)
    )
    z = (observed - mean) / np.sqrt(variance) if variance else 0.0
    return float(ndtr(-z)), float(ndtr(z))


def slopes(values: Floats, steps: Floats) -> Floats:
    """Least-squares slope per doubling of the step: values (seeds, steps) -> (seeds,)."""
    doublings = np.log2(steps) - np.log2(steps).mean()
    return np.asarray(values @ doublings / (doublings @ doublings))
