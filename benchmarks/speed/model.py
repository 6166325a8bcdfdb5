"""Check the model of a grid's run time: predicted and measured seconds on one and two workers.

A pack of n cells takes s·(f + e·n) + p·n: s steps, f seconds of each shared, e per cell, and p for
scoring a cell. Workers, or GPUs, take packs as they become free; starting and ending the command
takes c.
"""

import time
from dataclasses import dataclass

import pyarrow.parquet as pq
import torch

from benchmarks.speed.grids import ours
from benchmarks.speed.measure import interleaved
from benchmarks.speed.steps import TURN, cells, turn
from harness.data import idx_sets
from harness.training import process_tuning
from harness.training.task import Cost
from harness.training.trainer import PackTrainer

CELLS, PACK, STEPS, SHORT = 16, 4, 1500, 500
LAUNCHERS = {1: ["--launcher", "in-process"], 2: ["--launcher", "ray"]}


@dataclass(frozen=True)
class Foretold:
    """Seconds of a grid on `workers` workers: predicted (said) and measured (taken)."""

    workers: int
    said: float
    taken: float


def check() -> tuple[Cost, list[Foretold]]:
    """The cost of a step, and the grid on one and on two workers."""
    torch.set_num_threads(1)
    cost = _cost()
    return cost, [_foretold(cost, workers) for workers in LAUNCHERS]


def _cost() -> Cost:
    """Of a compiled step of `vae`, by packs of one and of as many as the grid's."""
    mnist = idx_sets.load("mnist")
    process_tuning.keep_freed_memory()
    packs = {str(size): PackTrainer(cells("vae", size), mnist, compiled=True) for size in (1, PACK)}
    times = interleaved({size: turn(pack.train_step) for size, pack in packs.items()}, rounds=30)
    one, several = (times[str(size)].median / TURN for size in (1, PACK))
    each = (several - one) / (PACK - 1)
    return Cost(one - each, each)


def _foretold(cost: Cost, workers: int) -> Foretold:
    """One short pack tells c and p; the grid has as many packs for each worker."""
    short, trained, scored = _run(workers, PACK, SHORT)
    pack = STEPS * cost.step_seconds(PACK) + scored
    said = short - trained - scored + CELLS / PACK / workers * pack
    return Foretold(workers, said, _run(workers, CELLS, STEPS)[0])


def _run(workers: int, seeds: int, steps: int) -> tuple[float, float, float]:
    """Seconds of a command, and of training and of scoring within it."""
    began = time.perf_counter()
    grid = [
        "--models",
        "vae",
        "--seeds",
        str(seeds),
        "--iterations",
        str(steps),
        "--pack",
        str(PACK),
    ]
    folder = ours(*grid, *LAUNCHERS[workers])
    taken = time.perf_counter() - began
    rows = pq.read_table(
        folder / "results.parquet", columns=["train_seconds", "score_seconds"]
    ).to_pydict()
    return taken, sum(rows["train_seconds"]), sum(rows["score_seconds"])
