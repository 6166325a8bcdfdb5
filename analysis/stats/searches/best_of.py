"""What the best of n random trials is expected to be, from N trials that were run.

The expectation over all choices of n of the N values without replacement, a U-statistic: the best
is the i-th smallest with probability C(N - i, n - 1) / C(N, n). It is exact and unbiased for n up
to N (Dodge et al., 2019, EMNLP, use its biased form; Tang et al., 2020, ACL, this one).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
HONEST_SHARE = 6  # up to one of so many trials a band says more than the range of the values


def expected_best(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """The expected minimum of n of the values, for each n in `counts`: (..., N) -> (..., counts).

    >>> expected_best(np.array([3.0, 1.0, 2.0]), np.array([1, 3])).tolist()
    [2.0, 1.0]
    """
    ordered = np.sort(values, axis=-1)
    return np.asarray(ordered @ _weights(values.shape[-1], counts).T)


def _weights(n_values: int, counts: NDArray[np.int64]) -> Floats:
    """The probability that the i-th smallest is the best of n: (counts, N)."""
    ranks = np.arange(1, n_values + 1)[None]
    n = np.asarray(counts)[:, None]
    left = n_values - ranks
    with np.errstate(all="ignore"):
        log_p = _log_choose(left, n - 1) - _log_choose(n_values, n)
    return np.where(left >= n - 1, np.exp(log_p), 0.0)


def _log_choose(n: NDArray[np.int64] | int, k: NDArray[np.int64]) -> Floats:
    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def bootstrap_band(
    values: Floats, counts: NDArray[np.int64], rng: np.random.Generator, draws: int = 2_000
) -> tuple[Floats, Floats]:
    """The 95 % percentile interval of `expected_best` over resampled trials: (counts,) each."""
    resampled = rng.choice(values, size=(draws, len(values)))
    low, high = np.quantile(expected_best(resampled, counts), [0.025, 0.975], axis=0)
    return low, high


def split_variance(values: list[Floats]) -> tuple[float, float]:
    """Variance components between and within groups, by one-way analysis of variance.

    values: the final scores of each study; groups of one value say nothing of the variance within,
    which is nan if all are. The component between is not below 0. Searle, Casella and McCulloch
    (1992), Variance Components, section 3.6.
    """
    sizes = np.array([len(group) for group in values], dtype=float)
    means = np.array([group.mean() for group in values])
    total, groups = sizes.sum(), len(values)
    if groups < 2:
        return float("nan"), float("nan")
    if total == groups:
        return float(np.var(means, ddof=1)), float("nan")
    grand = float((sizes * means).sum() / total)
    between = float((sizes * (means - grand) ** 2).sum() / (groups - 1))
    squares = sum(
        float(((group - mean) ** 2).sum()) for group, mean in zip(values, means, strict=True)
    )
    within = squares / (total - groups)
    effective = (total - (sizes**2).sum() / total) / (groups - 1)
    return max(0.0, (between - within) / effective), float(within)
