"""Many comparisons at once: those of one design and one number of seeds go through a test together."""

from collections.abc import Iterator
from dataclasses import asdict, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.stats import differences, equivalence
from analysis.stats.differences import Bools, Difference, Floats

Places = NDArray[np.int64]
TOGETHER = 4_000_000  # values at a time: what keeps a million rows within memory
COLUMNS = [*(field.name for field in fields(Difference)), "p_equivalence"]


def matrix(arms: Places, seeds: Places, values: Floats, count: int) -> Floats:
    """Values by arm (numbered below `count`) and seed, nan where there is none: (rows,) -> (arms,
    distinct seeds).
    """
    columns, seeds = np.unique(seeds, return_inverse=True)
    table = np.full((count, len(columns)), np.nan)
    table[arms, seeds] = values
    return table


def common(values: Floats, a: Places, b: Places) -> Places:
    """How many seeds both arms have: values (arms, seeds), a, b (comparisons,) -> (comparisons,)."""
    held = np.isfinite(values)
    found = [(held[a[part]] & held[b[part]]).sum(axis=1) for part in _parts(values, len(a))]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def apart(values: Floats, a: Places, b: Places) -> Bools:
    """Whether two arms differ at any seed that both have: values (arms, seeds), a, b
    (comparisons,).
    """
    found = [
        (np.isfinite(x) & np.isfinite(y) & (x != y)).any(axis=1)
        for x, y in ((values[a[part]], values[b[part]]) for part in _parts(values, len(a)))
    ]
    return np.concatenate(found) if found else np.zeros(0, np.bool_)


def measured(
    values: Floats, a: Places, b: Places, pairs: Bools, margin: float | None
) -> pd.DataFrame:
    """One row a comparison, the columns of `Difference` and p_equivalence, nan without a margin.

    values (arms, seeds); a, b (comparisons,) number the arms; pairs (comparisons,): by the common
    seeds, else Welch.
    """
    table = pd.DataFrame(np.nan, index=range(len(a)), columns=COLUMNS)
    for part in _parts(values, len(a)):
        samples = values[a[part]], values[b[part]]
        for at, design, x, y in _alike(*samples, pairs[part]):
            found = asdict(getattr(differences, design)(x, y))
            if margin is not None:
                found["p_equivalence"] = getattr(equivalence, design)(x, y, margin)
            table.loc[part.start + at, list(found)] = np.column_stack(list(found.values()))
    return table


def _alike(a: Floats, b: Floats, pairs: Bools) -> Iterator[tuple[Places, str, Floats, Floats]]:
    """Comparisons of one design and one number of seeds: their places, the design and both samples."""
    keep_a, keep_b = np.isfinite(a), np.isfinite(b)
    keep_a[pairs] = keep_b[pairs] = keep_a[pairs] & keep_b[pairs]
    kinds = np.column_stack([pairs, keep_a.sum(axis=1), keep_b.sum(axis=1)])
    for paired, n_a, n_b in np.unique(kinds, axis=0):
        at = np.flatnonzero((kinds == (paired, n_a, n_b)).all(axis=1))
        x, y = a[at][keep_a[at]].reshape(len(at), n_a), b[at][keep_b[at]].reshape(len(at), n_b)
        yield at, "paired" if paired else "welch", x, y


def _parts(values: Floats, comparisons: int) -> Iterator[slice]:
    step = max(1, TOGETHER // max(values.shape[1], 1))
    return (slice(start, min(start + step, comparisons)) for start in range(0, comparisons, step))
