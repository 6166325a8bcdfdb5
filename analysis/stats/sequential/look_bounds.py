"""At which p a difference may be claimed at each of several declared looks.

The t-statistics of one growing sample are correlated, and their joint distribution does not depend
on mean and SD. So the bounds are simulated exactly: the error .05 is spent in equal parts, and the
bound of a look is the quantile of p, among the samples that no earlier look has claimed, that
spends its part. Group-sequential spending is that of Lan and DeMets (1983), Biometrika 70:659.

The bounds hold for pairs. For Welch's t they are used as well: simulated, its error is .046 to
.057 for SD ratios of 1 to 5 (`benchmarks/sequential.md`).
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtr

from analysis.stats.differences import Floats
from analysis.stats.thresholds import ALPHA

TABLE = Path(__file__).with_name("look_bounds.csv")
DRAWS = 1_000_000  # of designs that the table lacks; some seconds
SEED = 20261125
CHUNK = 50_000  # samples at a time


def find_bounds(looks: Sequence[int], tests: int = 1) -> Floats:
    """The bound of p at each look: (looks,).

    looks: rising sample sizes, from 2 on
    tests: the error of one test is .05 / tests, as in a step of Holm's procedure

    >>> [round(float(bound), 3) for bound in find_bounds([5, 10, 15, 20])]
    [0.013, 0.014, 0.018, 0.023]
    """
    return _find_bounds(tuple(looks), tests)


@functools.cache
def _find_bounds(looks: tuple[int, ...], tests: int) -> Floats:
    if len(looks) == 1:
        return np.array([ALPHA / tests])
    shipped = _read_table()
    if (looks, tests) in shipped:
        return shipped[looks, tests]
    return spend_evenly(_simulate_design(looks), ALPHA / tests)


@functools.lru_cache(maxsize=4)
def _simulate_design(looks: tuple[int, ...]) -> Floats:
    return simulate_p_values(looks, DRAWS, np.random.default_rng(SEED))


@functools.cache
def _read_table() -> dict[tuple[tuple[int, ...], int], Floats]:
    """The shipped bounds by design and number of tests."""
    table = pd.read_csv(TABLE, dtype={"looks": str, "bounds": str})
    return {
        (tuple(map(int, looks.split())), tests): np.array(bounds.split(), dtype=float)
        for looks, tests, bounds in table[["looks", "tests", "bounds"]].itertuples(index=False)
    }


def simulate_p_values(looks: Sequence[int], draws: int, rng: np.random.Generator) -> Floats:
    """Two-sided p of Student's t at each look, without a difference: (draws, looks)."""
    sizes = np.array(looks)
    parts = []
    for start in range(0, draws, CHUNK):
        x = rng.standard_normal((min(CHUNK, draws - start), sizes[-1]))
        sums, squares = (each.cumsum(1)[:, sizes - 1] for each in (x, x**2))
        variance = (squares - sums**2 / sizes) / (sizes - 1)
        t = sums / np.sqrt(sizes * variance)
        parts.append(2 * stdtr(sizes - 1.0, -np.abs(t)))
    return np.concatenate(parts)


def spend_evenly(p: Floats, alpha: float) -> Floats:
    """p (draws, looks) without a difference -> bounds (looks,) that spend `alpha` in equal parts.

    The first bound is its part itself: p at one look is uniform.
    """
    draws, n_looks = p.shape
    part = alpha / n_looks
    bounds = np.full(n_looks, part)
    open_draws = p[:, 0] > part
    for look in range(1, n_looks):
        values = p[open_draws, look]
        claimed = round(part * draws)
        bounds[look] = np.partition(values, claimed)[claimed]
        open_draws &= p[:, look] > bounds[look]
    return bounds
