"""Many comparisons at once: all of one design and one number of seeds share a call of the test."""

from collections.abc import Iterator
from dataclasses import asdict, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.stats import differences, equivalence
from analysis.stats.differences import Bools, Difference, Floats

Indices = NDArray[np.int64]
MAX_BATCH_VALUES = 1_000_000  # per call, so that a million rows fit into memory
DIFFERENCE_TESTS = {"paired": differences.paired, "welch": differences.welch}
EQUIVALENCE_TESTS = {"paired": equivalence.paired, "welch": equivalence.welch}
COLUMNS = [*(field.name for field in fields(Difference)), "p_equivalence"]


def build_matrix(arms: Indices, seeds: Indices, values: Floats, arm_count: int) -> Floats:
    """Values (rows,) -> (arms, distinct seeds), nan where an arm lacks a seed.

    arms (rows,) numbers the arms from 0 to `arm_count` - 1.
    """
    columns, seeds = np.unique(seeds, return_inverse=True)
    table = np.full((arm_count, len(columns)), np.nan)
    table[arms, seeds] = values
    return table


def count_common_seeds(values: Floats, a: Indices, b: Indices) -> Indices:
    """How many seeds both arms have: values (arms, seeds), arm numbers a, b (comparisons,)."""
    finite = np.isfinite(values)
    counts = [
        (finite[a[part]] & finite[b[part]]).sum(axis=1) for part in _make_batches(values, len(a))
    ]
    return np.concatenate(counts) if counts else np.zeros(0, np.int64)


def has_differing_seeds(values: Floats, a: Indices, b: Indices) -> Bools:
    """Whether two arms differ at a seed that both have; shapes as in `count_common_seeds`."""
    flags = [
        (np.isfinite(x) & np.isfinite(y) & (x != y)).any(axis=1)
        for x, y in ((values[a[part]], values[b[part]]) for part in _make_batches(values, len(a)))
    ]
    return np.concatenate(flags) if flags else np.zeros(0, np.bool_)


def compute_differences(
    values: Floats, a: Indices, b: Indices, is_paired: Bools, margin: float | None
) -> pd.DataFrame:
    """One row per comparison: the columns of `Difference`, and p_equivalence, nan without a margin.

    values (arms, seeds); a, b (comparisons,) are arm numbers; is_paired (comparisons,) chooses the
    test of the pairs of common seeds, else Welch's.
    """
    table = pd.DataFrame(np.nan, index=range(len(a)), columns=COLUMNS)
    for part in _make_batches(values, len(a)):
        samples = values[a[part]], values[b[part]]
        for at, design, x, y in _group_by_design(*samples, is_paired[part]):
            columns = asdict(DIFFERENCE_TESTS[design](x, y))
            if margin is not None:
                columns["p_equivalence"] = EQUIVALENCE_TESTS[design](x, y, margin)
            table.loc[part.start + at, list(columns)] = np.column_stack(list(columns.values()))
    return table


def _group_by_design(
    a: Floats, b: Floats, is_paired: Bools
) -> Iterator[tuple[Indices, str, Floats, Floats]]:
    """For each design and number of seeds: indices of the comparisons, design, both samples."""
    keep_a, keep_b = np.isfinite(a), np.isfinite(b)
    keep_a[is_paired] = keep_b[is_paired] = keep_a[is_paired] & keep_b[is_paired]
    group_keys = np.column_stack([is_paired, keep_a.sum(axis=1), keep_b.sum(axis=1)])
    for paired, n_a, n_b in np.unique(group_keys, axis=0):
        at = np.flatnonzero((group_keys == (paired, n_a, n_b)).all(axis=1))
        x, y = a[at][keep_a[at]].reshape(len(at), n_a), b[at][keep_b[at]].reshape(len(at), n_b)
        yield at, "paired" if paired else "welch", x, y


def _make_batches(values: Floats, comparisons: int) -> Iterator[slice]:
    step = max(1, MAX_BATCH_VALUES // max(values.shape[1], 1))
    return (slice(start, min(start + step, comparisons)) for start in range(0, comparisons, step))
