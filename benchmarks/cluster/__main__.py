"""The scheduler on paper: the harness's own planning and queue on a virtual clock, for clusters
that are not there.

    python -m benchmarks.cluster

A million cells of `vae` at full length are packed by `harness.scheduling.packing` and handed out by
`harness.execution.retries` to 100 to 10,000 GPUs; costs are those of `costs.json` (`measure.py`).
The same cells are then run in stages, as looks and the rungs of a search make them: a stage begins
when the last cell of the one before has its row. Prints the tables and writes `cluster.csv`,
`cluster_fit.csv`, `cluster_stages.csv`, `cluster.png`. What the GPUs and the network take is
assumed, in the constants below.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import perf_counter

import pandas as pd
from matplotlib import pyplot as plt

from benchmarks.cluster import fit, virtual
from benchmarks.cluster.virtual import Costs
from harness.execution.ray_tune import MAX_REPORTS_PER_SECOND, REPORT_SECONDS
from harness.experiment.cell import Cell
from harness.scheduling import packing
from harness.scheduling.step_timing import assumed_gpu_cost
from harness.training.task import Cost, Task
from harness.training.task import Costs as PackCosts

HERE = Path(__file__).parents[1]
CELLS = 1_000_000
GPUS = (100, 1_000, 10_000)
# seconds of a step of one `vae` on one core (speed.csv); assumed of a GPU as well, see
# `assumed_gpu_cost`
ONE_CELL = 0.0080
ROUND_TRIP = 0.030  # seconds, assumed: a request of a bucket
STREAM = 100e6  # bytes a second, assumed: one request's content


@dataclass(frozen=True)
class Way:
    """How a grid is run: seconds between reports for so many GPUs, seconds between checkpoints,
    GPUs of a driver.
    """

    name: str
    pause: Callable[[int], float]
    checkpoint: float
    of_a_driver: int = max(GPUS)


AS_IT_IS = Way(
    "as it is",
    lambda gpus: min(max(gpus / MAX_REPORTS_PER_SECOND, REPORT_SECONDS[0]), REPORT_SECONDS[1]),
    60.0,
)
RARER = Way(
    "rarer checkpoints and reports",
    lambda gpus: max(gpus / MAX_REPORTS_PER_SECOND, REPORT_SECONDS[0]),
    600.0,
)
SHARED = Way("the same, a driver for 1,000 GPUs", RARER.pause, RARER.checkpoint, 1_000)
STEPS = 20_000  # of a training at full length
# (cells, steps of each) of the stages of a grid
STAGES = {
    "one stage": [(CELLS, STEPS)],
    "looks at 5, 10, 15, 20 seeds, no arm settled": [(CELLS // 4, STEPS)] * 4,
    "halving, η = 3, 4 rungs": [(CELLS // 3**rung, STEPS // 3 ** (3 - rung)) for rung in range(4)],
}


def main() -> None:
    """Print and write."""
    parts = fit.read()
    found = fit.fitted(parts)
    unpacking = parts["planning"][-1]["tasks unpacked"] / parts["planning"][-1]["cells"]
    print(found)
    checked = pd.DataFrame([fit.beside(run, found) for run in [*parts["runs"], *parts["largest"]]])
    storage = Storage.of(parts["requests"])
    grids = [(way, gpus) for gpus in GPUS for way in (AS_IT_IS, RARER)] + [(SHARED, max(GPUS))]
    table = pd.DataFrame(
        [simulated(way, gpus, found.costs, storage, unpacking) for way, gpus in grids]
    )
    stages = pd.DataFrame(
        [
            staged(name, way, gpus, found.costs, storage, unpacking, _row_cost(parts["rows"]))
            for way, gpus in ((RARER, 1_000), (SHARED, max(GPUS)))
            for name in STAGES
        ]
    )
    print(markdown(stages))
    for name, frame in (
        ("cluster_fit", checked),
        ("cluster", table),
        ("cluster_stages", stages),
    ):
        frame.to_csv(HERE / f"{name}.csv", index=False)
    print(markdown(checked))
    print(markdown(table))
    draw(table)


@dataclass(frozen=True)
class Storage:
    """Requests of the store for a cell, and bytes that it writes; bytes of a cell's checkpoint."""

    requests: int
    written: float
    checkpoint: float

    @classmethod
    def of(cls, measured: Sequence[fit.Measured]) -> "Storage":
        """As counted."""
        cell, checkpoint = measured
        return cls(sum(cell["requests"].values()), cell["bytes"], checkpoint["bytes"])

    def finish(self, cells: int) -> float:
        """Seconds in which a trial writes what its cells came to, one after another."""
        return cells * (self.requests * ROUND_TRIP + self.written / STREAM)

    def save(self, cells: int) -> float:
        """Seconds in which a trial writes its checkpoints, one after another."""
        return cells * (ROUND_TRIP + self.checkpoint / STREAM)


def simulated(
    way: Way, gpus: int, costs: Costs, storage: Storage, unpacking: float
) -> dict[str, float | str]:
    """A million cells on so many GPUs: how long, how busy, what the driver and the bucket do
    meanwhile.

    `unpacking` is what every process takes for each cell of the grid, as it gets all tasks before
    its first.
    """
    drivers = max(1, gpus // way.of_a_driver)
    cells, slots = CELLS // drivers, gpus // drivers
    started = perf_counter()
    tasks, step = planned(cells, slots)
    planning = perf_counter() - started

    work = make_work(way, step, storage)
    starting = replace(costs, process=costs.process + unpacking * cells)
    outcome = virtual.run(tasks, slots, work, starting, way.pause(slots))
    trained = sum(training(task, step) for task in tasks)
    saved = sum(count_saves(task, way, step) * len(task.cells) for task in tasks)
    written = cells * storage.written + saved * storage.checkpoint
    return {
        "way": way.name,
        "GPUs": gpus,
        "trials": len(tasks) * drivers,
        "hours": round(outcome.seconds / 3600, 2),
        "GPUs train": round(trained / (outcome.seconds * slots), 3),
        "driver busy": round(outcome.driver / outcome.seconds, 3),
        "driver ms a cell": round(1000 * outcome.driver / cells, 2),
        "ms an event": round(1000 * outcome.driver / (outcome.reports + len(tasks)), 2),
        "requests a s": round(drivers * (cells * storage.requests + saved) / outcome.seconds),
        "MB/s": round(drivers * written / outcome.seconds / 1e6),
        "planning s": round(planning, 1),
    }


def staged(
    name: str,
    way: Way,
    gpus: int,
    costs: Costs,
    storage: Storage,
    unpacking: float,
    row_cost: float,
) -> dict[str, float | str]:
    """The stages of `STAGES[name]` one after another.

    The GPUs wait at the end of a stage for its last trial, and then while the driver reads and
    compacts all rows so far, `row_cost` seconds each. Every stage starts its own processes.
    """
    drivers = max(1, gpus // way.of_a_driver)
    slots, rows, seconds, trained, waiting = gpus // drivers, 0, 0.0, 0.0, 0.0
    for all_cells, steps in STAGES[name]:
        cells = all_cells // drivers
        tasks, step = planned(cells, slots, steps)
        starting = replace(costs, process=costs.process + unpacking * cells)
        work = make_work(way, step, storage)
        outcome = virtual.run(tasks, slots, work, starting, way.pause(slots))
        rows += cells
        waiting += row_cost * rows
        seconds += outcome.seconds + row_cost * rows
        trained += sum(training(task, step) for task in tasks)
    return {
        "grid": name,
        "way": way.name,
        "GPUs": gpus,
        "hours": round(seconds / 3600, 2),
        "GPUs train": round(trained / (seconds * slots), 3),
        "between stages": round(waiting / seconds, 3),
    }


def make_work(way: Way, step: PackCosts, storage: Storage) -> virtual.Work:
    """Seconds in which a trial trains and writes checkpoints, and in which it writes results."""

    def work(task: Task) -> tuple[float, float]:
        cells, saves = len(task.cells), count_saves(task, way, step)
        return training(task, step) + saves * storage.save(cells), storage.finish(cells)

    return work


def count_saves(task: Task, way: Way, step: PackCosts) -> int:
    """How often a trial writes checkpoints."""
    return int(training(task, step) // way.checkpoint)


def _row_cost(measured: Sequence[fit.Measured]) -> float:
    """Seconds to find a row among the largest number that was measured, and to compact it."""
    largest = measured[-1]
    return float(largest["found"] + largest["compacted"]) / int(largest["rows"])


@cache
def planned(cells: int, slots: int, steps: int = STEPS) -> tuple[list[Task], dict[Cell, Cost]]:
    """The tasks of a grid, by the harness's own packing, longest first; and what a step costs."""
    grid = [Cell("vae", seed, steps, settings=(("z", 10),)) for seed in range(cells)]
    step = {grid[0].pack_key: assumed_gpu_cost(Cost(0.0, ONE_CELL))}
    return [Task(pack, "nowhere") for pack in packing.balanced_packs(grid, step, slots)], step


def training(task: Task, step: PackCosts) -> float:
    """Seconds in which a trial trains."""
    return packing.pack_seconds(task.cells, step)


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    lines = [
        [*table.columns],
        ["---"] * len(table.columns),
        *table.astype(object).to_numpy().tolist(),
    ]
    shown = (
        [value if isinstance(value, str) else f"{value:,}" for value in line] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in shown)


def draw(table: pd.DataFrame) -> None:
    """The GPUs' time at work, and the driver's, over the number of GPUs."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for (way, rows), colour in zip(
        table.groupby("way", sort=False), ("C0", "C1", "C2"), strict=False
    ):
        axes.semilogx(
            rows["GPUs"], rows["GPUs train"], "o-", color=colour, label=f"GPUs train: {way}"
        )
        axes.semilogx(
            rows["GPUs"],
            rows["driver busy"],
            "s:",
            color=colour,
            alpha=0.6,
            label=f"driver busy: {way}",
        )
    axes.set(
        xlabel="GPUs",
        ylabel="fraction of the time",
        ylim=(0, 1.03),
        title="A million cells on paper",
    )
    axes.legend(fontsize=8)
    figure.savefig(HERE / "cluster.png", dpi=150)


if __name__ == "__main__":
    main()
