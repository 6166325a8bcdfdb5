"""Results tables of given numbers, in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.experiment.metrics import METRICS
from harness.storage.schema import ARM_COLUMNS
from tests.unit.analysis.conftest import made, row

COLUMNS = [
    "arm",
    "cell",
    *ARM_COLUMNS,
    "seed",
    "seeded",
    "status",
    "full_length",
    "parameters",
    "git_commit",
    "device",
    "run",
]
CHECKSUMS = ["data_checksum", "subset_checksum"]
# Student (1908): the extra hours of sleep of ten patients under two drugs, as in R's `sleep`.
SLEEP = np.array(
    [
        [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
        [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
    ]
)


def table(
    arms: Mapping[str, Sequence[float] | NDArray[np.float64]],
    metric: str = "nelbo",
    seeds: Mapping[str, Sequence[int]] | None = None,
    **values: Any,
) -> pd.DataFrame:
    """A results table of values by arm, for seeds 0 to n - 1 or the given ones; β is 1, 2, ..."""
    rows = []
    for number, (name, numbers) in enumerate(arms.items(), start=1):
        of = (seeds or {}).get(name, range(len(numbers)))
        for seed, value in zip(of, numbers, strict=True):
            cell = made("vae", seed, beta=float(number))
            rows.append({**row(cell), metric: float(value), "arm": name, **values})
    found = pd.DataFrame(rows).reindex(columns=[*COLUMNS, *CHECKSUMS, "digit_counts", *METRICS])
    others = [name for name in METRICS if name != metric]
    return found.assign(**dict.fromkeys(others, np.nan))


def spread(mean: float, sd: float, n: int, seed: int = 0) -> NDArray[np.float64]:
    """n numbers that have exactly this mean and standard deviation."""
    drawn = np.random.default_rng(seed).normal(size=n)
    return np.asarray(mean + sd * (drawn - drawn.mean()) / drawn.std(ddof=1))
