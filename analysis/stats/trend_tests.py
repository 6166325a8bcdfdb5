"""Whether values go one way with something that has an order, such as β or a number of labels, and
how fast.
"""

from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from analysis.stats.differences import Floats

MAX_EXACT_STEPS = 8  # steps up to which all orders are tried: 40,320


def page_trend(values: Floats) -> tuple[float, float]:
    """Values (seeds, steps in order) -> p of a trend up or down, and 1 or -1: Page (1963), J. Am.
    Stat. Assoc. 58:216.

    p is the smaller of the two one-sided p-values, doubled. It is that of all orders of each seed's
    own ranks, ties and all: exact up to `MAX_EXACT_STEPS` steps, above by the normal law with the
    mean and variance over these orders.
    """
    # differences of fractions that are equal but for rounding are ties
    rounded = np.round(values, 12)
    # doubled, so that ties have whole ones too
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
    """p of an L as large, and of one as small, as seen, over all orders of each seed's ranks: ranks
    (seeds, steps).
    """
    distribution = np.ones(1)
    for row in ranks:
        distribution = np.convolve(distribution, _null_distribution(tuple(sorted(row))))
    return float(distribution[observed:].sum()), float(distribution[: observed + 1].sum())


@cache
def _null_distribution(ranks: tuple[int, ...]) -> Floats:
    """The chance of each L, from 0 on, that one seed with these ranks can have: (largest L + 1,)."""
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
    """Values (seeds, steps), steps (steps,) -> the least-squares slope per doubling of each seed:
    (seeds,).
    """
    doublings = np.log2(steps) - np.log2(steps).mean()
    return np.asarray(values @ doublings / (doublings @ doublings))
