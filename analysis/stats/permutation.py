"""Permutation tests: of pairs by the signs of their differences, of two samples by all divisions.

They assume no normal distribution. Up to `MAX_PERMUTATIONS` signs or divisions, all are tried and p
is exact. Above that, so many are drawn with a fixed seed, and p = (1 + as extreme) / (1 + drawn):
Phipson, Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39. Samples have the seeds on the last axis,
one comparison per row. p is two-sided, (comparisons,), and depends neither on the order of the
seeds nor on which arm is a.
"""

from collections.abc import Iterator
from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MAX_PERMUTATIONS = 9_999
MAX_SEEDS = 10_000  # of an arm: with more, t needs no normal distribution, and nothing is permuted
SAMPLED_P_FLOOR = 1 / (1 + MAX_PERMUTATIONS)  # the smallest p when permutations are drawn
TIE_TOLERANCE = 1e-9  # of the largest value: sums this close are equal up to rounding
ROUNDING_TOLERANCE = 1e-12  # of the values, which may be much larger than their difference
_CHUNK_VALUES = 4_000_000  # numbers at a time, to limit memory


def min_sign_flip_p(pairs: int) -> float:
    """The smallest p that `sign_flip_p` can give."""
    return SAMPLED_P_FLOOR if 2**pairs > MAX_PERMUTATIONS else min(1.0, 2.0 ** (1 - pairs))


def min_two_sample_p(n_a: int, n_b: int) -> float:
    """The smallest p that `two_sample_p` can give.

    With equal n a division and its mirror image are equally extreme.
    """
    divisions = comb(n_a + n_b, n_a)
    return (
        SAMPLED_P_FLOOR
        if divisions > MAX_PERMUTATIONS
        else min(1.0, (2 if n_a == n_b else 1) / divisions)
    )


def sign_flip_p(a: Floats, b: Floats) -> Floats:
    """p of the mean difference of pairs over all signs: a, b (comparisons, pairs).

    Fisher (1935), The Design of Experiments, § 21. Sums that are equal up to rounding are ties.
    """
    sizes = np.sort(np.abs(a - b), axis=-1)
    largest = np.maximum(np.abs(a), np.abs(b)).max(axis=-1, initial=0.0)
    threshold = np.abs((a - b).sum(axis=-1)) - np.maximum(
        TIE_TOLERANCE * sizes.max(axis=-1, initial=0.0), ROUNDING_TOLERANCE * largest
    )
    pairs, extreme = a.shape[-1], np.zeros(len(a))
    for sign_rows in _sign_rows(pairs):
        for part in _chunks(len(a), len(sign_rows)):
            sums = sizes[part] @ sign_rows.T
            extreme[part] += (np.abs(sums, out=sums) >= threshold[part, None]).sum(axis=-1)
    return (
        (1 + extreme) / (1 + MAX_PERMUTATIONS)
        if 2**pairs > MAX_PERMUTATIONS
        else extreme / 2 ** max(pairs - 1, 0)
    )


def two_sample_p(a: Floats, b: Floats) -> Floats:
    """p of Welch's t over all divisions into two samples: a (comparisons, n_a), b alike.

    It is exact if both arms have one distribution. With many seeds it is also valid for equal means
    and unequal variances, unlike a test of the difference of means: Janssen (1997), Stat. Probab.
    Lett. 36:9. With equal n both tests are the same.
    """
    n_smaller, n_values = min(a.shape[-1], b.shape[-1]), a.shape[-1] + b.shape[-1]
    pool, smaller = _center_and_scale(a, b)
    of_sum, of_squares, threshold = _threshold_terms(pool, smaller)
    extreme, exhaustive = np.zeros(len(a)), comb(n_values, n_smaller) <= MAX_PERMUTATIONS
    for in_smaller in _split_rows(n_values, n_smaller):
        for part in _chunks(len(a), len(in_smaller)):
            statistic = np.square(pool[part] @ in_smaller.T) * of_sum[part]
            if 2 * n_smaller < n_values:
                statistic -= np.square(pool[part]) @ in_smaller.T * of_squares[part]
            extreme[part] += (statistic >= threshold[part]).sum(axis=-1)
    return (
        extreme / comb(n_values, n_smaller)
        if exhaustive
        else (1 + extreme) / (1 + MAX_PERMUTATIONS)
    )


def _center_and_scale(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """All values in order, and the smaller sample, shifted and scaled alike.

    The mean of all values becomes 0 and the value farthest from it 1 or -1.
    """
    pool = np.sort(np.concatenate([a, b], axis=-1), axis=-1)
    middle = pool.mean(axis=-1, keepdims=True)
    scale = np.abs(pool - middle).max(axis=-1, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    smaller = a if a.shape[-1] <= b.shape[-1] else b
    return (pool - middle) / scale, (smaller - middle) / scale


def _threshold_terms(pool: Floats, smaller: Floats) -> tuple[Floats, Floats, Floats]:
    """u, v, w, each (comparisons, 1): t² of a division reaches the observed if u · S² − v · Q >= w.

    S and Q are the sum of the smaller sample and the sum of its squares. All values sum to zero, so
    the means differ by c · S and the squared standard error is x · Q + y · (all squares − Q) − z ·
    S².
    """
    n_smaller, n_larger = smaller.shape[-1], pool.shape[-1] - smaller.shape[-1]
    x, y = 1 / (n_smaller * (n_smaller - 1)), 1 / (n_larger * (n_larger - 1))
    z, c = x / n_smaller + y / n_larger, 1 / n_smaller + 1 / n_larger
    total, squares, all_squares = (
        np.sum(each, axis=-1, keepdims=True) for each in (smaller, smaller**2, pool**2)
    )
    error = np.maximum(x * squares + y * (all_squares - squares) - z * total**2, 0.0)
    squared_difference = (c * total) ** 2
    u, v = c**2 * error + z * squared_difference, (x - y) * squared_difference
    return (
        u,
        v,
        y * squared_difference * all_squares
        - u * (2 * TIE_TOLERANCE * np.abs(total) + TIE_TOLERANCE**2),
    )


def _sign_rows(pairs: int) -> Iterator[Floats]:
    """Chunks of rows of signs, (rows, pairs): one of each two mirror images, or drawn ones."""
    if 2**pairs <= MAX_PERMUTATIONS:
        bits = np.arange(2 ** max(pairs - 1, 0))[:, None] >> np.arange(pairs) & 1
        yield np.where(bits, -1.0, 1.0)
        return
    rng = np.random.default_rng(0)
    for part in _chunks(MAX_PERMUTATIONS, pairs):
        yield np.where(rng.integers(0, 2, (part.stop - part.start, pairs), np.int8), -1.0, 1.0)


def _split_rows(n_values: int, n_smaller: int) -> Iterator[Floats]:
    """Chunks of rows of divisions, (rows, values), 1 for the smaller sample: all, or drawn ones."""
    exhaustive, rng = comb(n_values, n_smaller) <= MAX_PERMUTATIONS, np.random.default_rng(0)
    divisions = combinations(range(n_values), n_smaller)
    for part in _chunks(comb(n_values, n_smaller) if exhaustive else MAX_PERMUTATIONS, n_values):
        count = part.stop - part.start
        indices = (
            list(islice(divisions, count))
            if exhaustive
            else rng.random((count, n_values)).argpartition(n_smaller, axis=-1)[:, :n_smaller]
        )
        in_smaller = np.zeros((count, n_values))
        np.put_along_axis(in_smaller, np.asarray(indices), 1.0, axis=-1)
        yield in_smaller


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _CHUNK_VALUES // max(columns, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
