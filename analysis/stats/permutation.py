"""The p of a permutation: of pairs by the signs of their differences, of two samples by how they
could be divided.

No normal law is asked for. Where there are at most `MOST` signs or divisions all are tried, and p
is exact; above, that many are drawn by a fixed seed, and p = (1 + as extreme) / (1 + drawn):
Phipson, Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39. Samples hold the seeds on the last axis,
one comparison a row; p is two-sided, (comparisons,), and the same whatever the order of the seeds
and whichever arm is a.
"""

from collections.abc import Iterator
from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST = 9_999
FLOOR = 1 / (1 + MOST)  # the least p where they are drawn
TIE = 1e-9  # of the largest value: sums that are this near are equal but for rounding
ROUNDING = 1e-12  # of the values themselves, whose difference may be much smaller
_TOGETHER = 4_000_000  # numbers at a time: what keeps memory small


def sign_floor(pairs: int) -> float:
    """The least p that `signs` can give."""
    return FLOOR if 2**pairs > MOST else min(1.0, 2.0 ** (1 - pairs))


def split_floor(n_a: int, n_b: int) -> float:
    """The least p that `splits` can give; of equal numbers a division and its mirror are equally
    extreme.
    """
    ways = comb(n_a + n_b, n_a)
    return FLOOR if ways > MOST else min(1.0, (2 if n_a == n_b else 1) / ways)


def signs(a: Floats, b: Floats) -> Floats:
    """p of the mean difference of pairs over all signs: Fisher (1935), The Design of Experiments, §
    21.

    a, b (comparisons, pairs). Sums that tie but for rounding count as ties, as they do in whole
    numbers.
    """
    sizes = np.sort(np.abs(a - b), axis=-1)
    largest = np.maximum(np.abs(a), np.abs(b)).max(axis=-1, initial=0.0)
    least = np.abs((a - b).sum(axis=-1)) - np.maximum(
        TIE * sizes.max(axis=-1, initial=0.0), ROUNDING * largest
    )
    pairs, extreme = a.shape[-1], np.zeros(len(a))
    for drawn in _signs(pairs):
        for part in _parts(len(a), len(drawn)):
            sums = sizes[part] @ drawn.T
            extreme[part] += (np.abs(sums, out=sums) >= least[part, None]).sum(axis=-1)
    return (1 + extreme) / (1 + MOST) if 2**pairs > MOST else extreme / 2 ** max(pairs - 1, 0)


def splits(a: Floats, b: Floats) -> Floats:
    """p of Welch's t over the divisions of both samples into two of their sizes; a (comparisons,
    n_a), b alike.

    It holds for one law in both arms and, with many seeds, for equal means whatever the variances,
    as the difference of the means does not: Janssen (1997), Stat. Probab. Lett. 36:9. Of equal
    sizes it is the same as that difference.
    """
    few, values = min(a.shape[-1], b.shape[-1]), a.shape[-1] + b.shape[-1]
    pool, smaller = _scaled(a, b)
    of_sum, of_squares, reached = _limits(pool, smaller)
    extreme, every = np.zeros(len(a)), comb(values, few) <= MOST
    for chosen in _splits(values, few):
        for part in _parts(len(a), len(chosen)):
            found = np.square(pool[part] @ chosen.T) * of_sum[part]
            if 2 * few < values:
                found -= np.square(pool[part]) @ chosen.T * of_squares[part]
            extreme[part] += (found >= reached[part]).sum(axis=-1)
    return extreme / comb(values, few) if every else (1 + extreme) / (1 + MOST)


def _scaled(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """All values in order, and the smaller sample; both with the mean of all at 0 and the farthest
    value at 1.
    """
    pool = np.sort(np.concatenate([a, b], axis=-1), axis=-1)
    middle = pool.mean(axis=-1, keepdims=True)
    scale = np.abs(pool - middle).max(axis=-1, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    smaller = a if a.shape[-1] <= b.shape[-1] else b
    return (pool - middle) / scale, (smaller - middle) / scale


def _limits(pool: Floats, smaller: Floats) -> tuple[Floats, Floats, Floats]:
    """u, v, w, each (comparisons, 1), so that t² of a division reaches that of ours where u · S² −
    v · Q >= w.

    S and Q are the sum of the smaller sample and that of its squares. All values sum to zero, hence
    the means differ by c · S and the squared standard error is x · Q + y · (all squares − Q) − z ·
    S².
    """
    few, rest = smaller.shape[-1], pool.shape[-1] - smaller.shape[-1]
    x, y = 1 / (few * (few - 1)), 1 / (rest * (rest - 1))
    z, c = x / few + y / rest, 1 / few + 1 / rest
    total, squares, everything = (
        np.sum(each, axis=-1, keepdims=True) for each in (smaller, smaller**2, pool**2)
    )
    error = np.maximum(x * squares + y * (everything - squares) - z * total**2, 0.0)
    apart = (c * total) ** 2
    u, v = c**2 * error + z * apart, (x - y) * apart
    return u, v, y * apart * everything - u * (2 * TIE * np.abs(total) + TIE**2)


def _signs(pairs: int) -> Iterator[Floats]:
    """Rows of 1 and -1, (some, pairs): one of each two that are mirrors, or `MOST` drawn ones."""
    if 2**pairs <= MOST:
        bits = np.arange(2 ** max(pairs - 1, 0))[:, None] >> np.arange(pairs) & 1
        yield np.where(bits, -1.0, 1.0)
        return
    rng = np.random.default_rng(0)
    for part in _parts(MOST, pairs):
        yield np.where(rng.integers(0, 2, (part.stop - part.start, pairs), np.int8), -1.0, 1.0)


def _splits(values: int, few: int) -> Iterator[Floats]:
    """Rows of 1 where a value goes to the smaller sample, (some, values): every division, or `MOST`
    drawn ones.
    """
    every, rng = comb(values, few) <= MOST, np.random.default_rng(0)
    ways = combinations(range(values), few)
    for part in _parts(comb(values, few) if every else MOST, values):
        many = part.stop - part.start
        drawn = (
            list(islice(ways, many))
            if every
            else rng.random((many, values)).argpartition(few, axis=-1)[:, :few]
        )
        chosen = np.zeros((many, values))
        np.put_along_axis(chosen, np.asarray(drawn), 1.0, axis=-1)
        yield chosen


def _parts(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _TOGETHER // max(columns, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
