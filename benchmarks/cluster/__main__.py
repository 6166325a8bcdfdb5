"""The scheduler on paper: the harness's own planning on a virtual clock, for clusters that are not there.

    python -m benchmarks.cluster

A million cells of `vae` at full length are planned by `harness.packing` and handed to 100, 1,000 and 10,000 GPUs by one
driver, which serves one trial or report at a time. What the driver takes was measured by `cluster_costs.py` and is
fitted here; what the fit says of the measured runs is shown beside them. Writes `cluster.csv` and `cluster.png`.
"""

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.optimize import nnls

from harness import packing
from harness.engine import key
from harness.grid import Cell
from harness.launch import REPORT_SECONDS, REPORTS
from harness.packing import Cost
from harness.timing import elsewhere

HERE = Path(__file__).parent
GPUS = (100, 1_000, 10_000)
CELLS = 1_000_000
ONE_CELL = (
    0.0080  # seconds of a step of one `vae` on one core (speed.csv); `timing.elsewhere` says what a GPU makes of it
)
CHECKPOINT_SECONDS = 60.0
REQUESTS = 11  # of the store for a cell: six files written, four read, a checkpoint removed


@dataclass(frozen=True)
class Costs:
    """Seconds of the driver for a run, a trial, a cell and a report; of the whole command without reports."""

    run: float
    trial: float
    cell: float
    report: float
    whole_run: float
    whole_trial: float
    whole_cell: float


def main() -> None:
    """Print both tables, and write them."""
    measured = pd.DataFrame(json.loads((HERE / "cluster_costs.json").read_text(encoding="utf-8")))
    costs = fitted(measured)
    print(costs)
    print(beside(measured, costs).to_string(index=False))
    table = pd.DataFrame([simulated(gpus, costs) for gpus in GPUS])
    print(table.to_string(index=False))
    table.to_csv(HERE / "cluster.csv", index=False)
    draw(table)


def fitted(runs: pd.DataFrame) -> Costs:
    """Least squares, no cost below zero, each run weighted by what it took."""

    def fit(took: str, causes: Sequence[str], of: pd.DataFrame) -> np.ndarray:
        matrix = np.column_stack([np.ones(len(of)), *(of[name] for name in causes)]) / of[[took]].to_numpy()
        return np.asarray(nnls(matrix, np.ones(len(of)))[0])

    plain = runs[runs.reports == 0]
    driver = fit("driver", ("trials", "cells", "reports"), runs)
    return Costs(*driver, *fit("seconds", ("trials", "cells"), plain))


def beside(runs: pd.DataFrame, costs: Costs) -> pd.DataFrame:
    """The measured runs, and what the fit says of them."""
    told = runs.copy()
    told["driver, fitted"] = (
        costs.run + costs.trial * runs.trials + costs.cell * runs.cells + costs.report * runs.reports
    )
    told["seconds, fitted"] = costs.whole_run + costs.whole_trial * runs.trials + costs.whole_cell * runs.cells
    return told.round(2)


def simulated(gpus: int, costs: Costs) -> dict[str, float]:
    """A million cells on so many GPUs: how long, how busy, and what waits for whom."""
    cells = [Cell("vae", seed, 20_000, settings=(("z", 10),)) for seed in range(CELLS)]
    step = {key(cells[0]): elsewhere(Cost(0.0, ONE_CELL))}
    packs = packing.balanced(cells, step, gpus)
    pause = min(max(gpus / REPORTS, REPORT_SECONDS[0]), REPORT_SECONDS[1])
    share = gpus / pause * costs.report  # of the driver's time that reports take, all GPUs at work
    slower = max(1.0, share)  # a trial waits until its report was heard
    loads = [packing.seconds(pack, step) * slower for pack in packs]
    serving = costs.trial / max(0.05, 1 - share)
    end = span(loads, serving, gpus)
    work = sum(packing.seconds(pack, step) for pack in packs)
    saves = CELLS * (work / len(packs) / CHECKPOINT_SECONDS)
    return {
        "GPUs": gpus,
        "packs": len(packs),
        "cells a pack": CELLS / len(packs),
        "hours": round(end / 3600, 2),
        "utilisation": round(work / (end * gpus), 4),
        "report every s": pause,
        "driver busy": round(min(1.0, share + costs.trial * len(packs) / end), 4),
        "driver ms a cell": round(1000 * (costs.cell + costs.trial * len(packs) / CELLS), 2),
        "requests a s": round((CELLS * REQUESTS + saves) / end, 1),
    }


def span(loads: Sequence[float], serving: float, slots: int) -> float:
    """Seconds until the last trial ends: each starts when a slot is free and the driver has served it in turn."""
    free, driver = list(repeat(0.0, slots)), 0.0
    for load in loads:
        driver = max(free[0], driver) + serving
        heapq.heapreplace(free, driver + load)
    return max(free)


def draw(table: pd.DataFrame) -> None:
    """Utilisation, the driver's share and storage requests over the number of GPUs."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    left.semilogx(table["GPUs"], table["utilisation"], "o-", label="GPUs at work")
    left.semilogx(table["GPUs"], table["driver busy"], "s--", label="driver at work")
    left.set(xlabel="GPUs", ylabel="fraction of the time", ylim=(0, 1.05))
    left.legend()
    right.loglog(table["GPUs"], table["requests a s"], "o-")
    right.set(xlabel="GPUs", ylabel="storage requests a second")
    figure.savefig(HERE / "cluster.png", dpi=150)


if __name__ == "__main__":
    main()
