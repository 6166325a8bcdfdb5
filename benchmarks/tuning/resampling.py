"""Resample a pool of real cells: how often are two identical methods called different?

    python -m benchmarks.tuning.resampling

Both methods are the same random search of `vae` over the same space, so every difference is false.
A search draws eight points of the pool, each validated by one of its trainings, and keeps the best.
Three claims are tested with Welch's test at .05: the winner of one search, trained with ten seeds;
five searches with one training of each winner; eight searches. The first is the usual way. It is a
correct test of two configurations, and a wrong one of two methods.

A point's further trainings are its mean and a residual drawn from all residuals of the pool, scaled
to the point's own standard deviation. Results: tuning/resampling.md.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

HERE = Path(__file__).parent
REPLICATIONS, ALPHA = 20_000, 0.05
WINNER_SEEDS = 10
Array = NDArray[np.float64]


class Pool:
    """Points with their trainings: test and validation NELBO, (points, seeds), nats."""

    def __init__(self, cells: pd.DataFrame, rng: np.random.Generator):
        by_point = cells.groupby(["learning_rate", "settings"], sort=True)
        self.test = np.stack([group["nelbo"].to_numpy() for _, group in by_point])
        self.validation = np.stack([group["validation_nelbo"].to_numpy() for _, group in by_point])
        self.rng = rng
        seeds = self.test.shape[1]
        self.means = self.test.mean(1)
        self.sds = self.test.std(1, ddof=1)
        residuals = (self.test - self.means[:, None]) / self.sds[:, None]
        self.residuals = residuals.ravel() * np.sqrt(seeds / (seeds - 1))

    def find_winners(self, searches: tuple[int, ...], trials: int) -> NDArray[np.intp]:
        """Points that searches of `trials` points choose, of the given shape."""
        points, seeds = self.validation.shape
        drawn = self.rng.integers(points, size=(*searches, trials))
        values = self.validation[drawn, self.rng.integers(seeds, size=drawn.shape)]
        return np.take_along_axis(drawn, values.argmin(-1)[..., None], -1)[..., 0]

    def train(self, winners: NDArray[np.intp], seeds: int) -> Array:
        """Test NELBO of new trainings of points: (*winners, seeds)."""
        residuals = self.rng.choice(self.residuals, size=(*winners.shape, seeds))
        return np.asarray(self.means[winners][..., None] + self.sds[winners][..., None] * residuals)


def count_false(a: Array, b: Array) -> float:
    """The share of rows in which Welch's test calls two samples different: (n, values) each."""
    return float((stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < ALPHA).mean())


def simulate(pool: Pool, trials: int) -> dict[str, float]:
    """The rates of false claims for searches of `trials` points."""
    winners = pool.find_winners((2, REPLICATIONS), trials)
    a, b = pool.train(winners, WINNER_SEEDS)
    rates = {"trials": trials, "one search, ten seeds": count_false(a, b)}
    rates["median difference"] = float(np.median(np.abs(a.mean(1) - b.mean(1))))
    for studies in (5, 8):
        a, b = pool.train(pool.find_winners((2, REPLICATIONS, studies), trials), 1)[..., 0]
        rates[f"{studies} searches"] = count_false(a, b)
    return rates


def describe(rates: pd.DataFrame, pool: Pool) -> str:
    """The Markdown of the results."""
    points, seeds = pool.test.shape
    spread = pool.means - pool.means.min()
    lines = [
        "# Two identical methods, each tuned by random search: how often called different",
        "",
        f"Real cells: {points} points of a random search of `vae` on MNIST, 400 steps, {seeds}",
        "seeds each (`cells.csv`, made by `python -m benchmarks.tuning.cells`), resampled",
        f"{REPLICATIONS:,} times a line by `python -m benchmarks.tuning.resampling`. Welch's test",
        f"at {ALPHA:g}, so .05 is right and more is false.",
        "",
        f"Test NELBO of the best point {pool.means.min():.2f} nats; a random point is "
        f"{np.median(spread):.2f} nats (median) and {spread.mean():.2f} (mean) worse. Standard "
        f"deviation over the seeds of a point {np.median(pool.sds):.2f} nats (median).",
        "",
        "| trials | winner of one search, ten seeds | median difference of the winners, nats | "
        "5 searches | 8 searches |",
        "| - | - | - | - | - |",
    ]
    lines += [
        f"| {row['trials']:.0f} | {row['one search, ten seeds']:.3f} | "
        f"{row['median difference']:.2f} | {row['5 searches']:.3f} | {row['8 searches']:.3f} |"
        for _, row in rates.iterrows()
    ]
    error = np.sqrt(0.05 * 0.95 / REPLICATIONS)
    lines += ["", f"The simulation's own standard error at .05 is {error:.4f}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Simulate, and write and print the table."""
    pool = Pool(pd.read_csv(HERE / "cells.csv"), np.random.default_rng(17))
    rates = pd.DataFrame([simulate(pool, trials) for trials in (4, 8, 16, 32)])
    text = describe(rates, pool)
    (HERE / "resampling.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
