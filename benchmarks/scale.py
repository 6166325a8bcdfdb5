"""Summarise and compare a million rows: seconds and peak memory.

    python benchmarks/scale.py

Two shapes: ten data sets of ten arms with 10,000 seeds each, every pair compared; and a thousand
data sets of a hundred arms with ten seeds each, every arm against its data set's baseline. Peak
memory is that of the process.
"""

import resource
from time import perf_counter

import numpy as np
import pandas as pd

from analysis.comparison.comparisons import compare_arms, compare_pairs
from analysis.frames.arm_table import summarize_arms
from analysis.stats.estimates import estimate_means
from harness.experiment.grid import ComparisonSpec
from harness.storage.schema import DEFAULTS

HOW = ComparisonSpec(metrics=["nelbo"], margin={"nelbo": 0.5})
TEXT = ("git_commit", "device", "data_checksum", "subset_checksum")


def main() -> None:
    """Print a line for each step."""
    for datasets, arms, seeds in ((10, 10, 10_000), (1_000, 100, 10)):
        rows = results(datasets, arms, seeds)
        print(f"{len(rows):,} rows: {datasets:,} data sets, {arms} arms each, {seeds:,} seeds each")
        start = perf_counter()
        summary = estimate_means(rows, ["arm"], "nelbo")
        print(f"  summarised: {len(summary):,} arms in {perf_counter() - start:.1f} s")
        start = perf_counter()
        found = pairs_of(rows, arms) if arms > 10 else compare_arms(rows, HOW)
        print(f"  compared: {len(found):,} comparisons in {perf_counter() - start:.1f} s")
        print(
            f"  peak memory so far: "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
        )


def pairs_of(rows: pd.DataFrame, arms: int) -> pd.DataFrame:
    """Every arm against the first of its data set."""
    known = summarize_arms(rows)
    names = np.asarray(known.index).reshape(-1, arms)
    return compare_pairs(
        rows, known, [(str(a), str(row[0])) for row in names for a in row[1:]], HOW
    )


def results(datasets: int, arms: int, seeds: int) -> pd.DataFrame:
    """A results table with the columns that the analysis reads."""
    of, arm, seed = (axis.ravel() for axis in np.indices((datasets, arms, seeds)))
    names = np.array([f"data {d} arm {a}" for d in range(datasets) for a in range(arms)])
    rows = pd.DataFrame(
        {"arm": names[of * arms + arm], "dataset": of, "beta": arm + 1.0, "seed": seed}
    )
    rows["nelbo"] = 100 + 0.1 * arm + np.random.default_rng(0).normal(size=len(rows))
    settled = {
        **DEFAULTS,
        "model": "vae",
        "settings": "{}",
        "supervision": "none",
        "label_draw": "none",
        "status": "ok",
    }
    numbers = dict.fromkeys(
        ("iterations", "full_length", "labels", "batch_size", "learning_rate", "parameters"), 1
    )
    return rows.assign(seeded="weights,order", **settled, **numbers, **dict.fromkeys(TEXT, "one"))


if __name__ == "__main__":
    main()
