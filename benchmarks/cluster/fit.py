"""What the measurements say of the costs: from `costs.json` to the simulation, and back to measured
runs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq, nnls

from benchmarks.cluster import virtual
from benchmarks.cluster.virtual import Costs, Outcome
from harness.execution.ray_tune import REPORT_SECONDS
from harness.experiment.cell import Cell
from harness.scheduling.packing import fixed_packs
from harness.training.task import Task

COSTS = Path(__file__).parent / "costs.json"
SLOTS = 2  # of the measured commands
Measured = Mapping[str, Any]
Line = tuple[float, float]  # of nothing, and of each


@dataclass(frozen=True)
class Fit:
    """The costs of handing out; and lines over cells: seconds of a command before its launcher and
    after it, a trial of cells that do nothing until its first report and from there to its end; the
    driver's CPU before its first trial.
    """

    costs: Costs
    before: Line
    after: Line
    first: Line
    rest: Line
    start: float


def read() -> dict[str, list[Measured]]:
    """All parts of `costs.json`."""
    found: dict[str, list[Measured]] = json.loads(COSTS.read_text(encoding="utf-8"))
    return found


def fitted(parts: Mapping[str, Sequence[Measured]]) -> Fit:
    """From the probes; the time between two trials is what the simulation of the second probe lacks
    without it.
    """
    probes, (reports,), waits = parts["probes"], parts["reports"], parts["waiting"]
    start, trial, report, cell = _driver([*probes, reports])
    worker = reports["worker rest"] / (reports["results"] - 1)
    heard = (reports["during"] - reports["until first"]) / (reports["results"] - 1)
    costs = Costs(
        trial=trial,
        report=report,
        cell=cell,
        look=_each(waits, "seconds"),
        scan=_each(waits, "scanned"),
        process=float(
            np.median([probe["until first"] - probe["worker first"] - trial for probe in probes])
        ),
        echo=max(0.0, heard - worker - report),
    )
    before = [
        {**probe, "before": probe["seconds"] - probe["during"] - probe["after"]} for probe in probes
    ]
    alone, _, packed = probes[1], probes[0], probes[2]
    fit = Fit(
        costs=costs,
        before=_line(before, "cells", "before"),
        after=_line(probes, "cells", "after"),
        first=_through(alone, packed, "worker first"),
        rest=_through(alone, packed, "worker rest"),
        start=start,
    )

    def lacking(handover: float) -> float:
        return during(alone, with_handover(fit, handover)).seconds - float(alone["during"])

    return with_handover(fit, brentq(lacking, 0.0, 10.0) if lacking(0.0) < 0 else 0.0)


def with_handover(fit: Fit, seconds: float) -> Fit:
    """The same with another time between two trials."""
    return replace(fit, costs=replace(fit.costs, handover=seconds))


def during(run: Measured, fit: Fit) -> Outcome:
    """What the simulation says of a measured run's launcher."""
    cells = [Cell("noop", seed, 1) for seed in range(run["cells"])]
    tasks = [
        Task(pack, "nowhere") for pack in fixed_packs(cells, -(-run["cells"] // run["trials"]))
    ]

    def work(task: Task) -> tuple[float, float]:
        return _at(fit.first, len(task.cells)), _at(fit.rest, len(task.cells))

    return virtual.run(tasks, SLOTS, work, fit.costs, REPORT_SECONDS[0])


def beside(run: Measured, fit: Fit) -> dict[str, float]:
    """A measured run and what the simulation says of it: seconds of the command, and of the
    driver's CPU in it.
    """
    outcome = during(run, fit)
    seconds = _at(fit.before, run["cells"]) + outcome.seconds + _at(fit.after, run["cells"])
    driver = fit.start + outcome.driver
    return {
        "cells": run["cells"],
        "trials": run["trials"],
        "load": run["load"],
        "s measured": round(run["seconds"], 1),
        "s simulated": round(seconds, 1),
        "error %": round(100 * (seconds / run["seconds"] - 1), 1),
        "driver s measured": round(run["driver during"], 2),
        "driver s simulated": round(driver, 2),
        "driver error %": round(100 * (driver / run["driver during"] - 1), 1),
    }


def _driver(probes: Sequence[Measured]) -> tuple[float, float, float, float]:
    """CPU seconds of the driver for a run, a trial, a report, a cell: least squares, none below
    zero, each relative.
    """
    causes = [[1.0, probe["trials"], probe["results"], probe["cells"]] for probe in probes]
    took = np.array([probe["driver during"] for probe in probes])
    found = nnls(np.array(causes) / took[:, None], np.ones(len(took)))[0]
    start, trial, report, cell = map(float, found)
    return start, trial, report, cell


def _line(runs: Sequence[Measured], cause: str, took: str) -> Line:
    """Least squares, none below zero, each run weighted by what it took."""
    seconds = np.array([run[took] for run in runs])
    matrix = np.array([[1.0, run[cause]] for run in runs]) / seconds[:, None]
    found = nnls(matrix, np.ones(len(runs)))[0]
    return float(found[0]), float(found[1])


def _through(alone: Measured, packed: Measured, name: str) -> Line:
    """The line through trials of one cell and of many."""
    size = packed["cells"] / packed["trials"]
    each = max(0.0, (packed[name] - alone[name]) / (size - 1))
    return alone[name] - each, each


def _each(waits: Sequence[Measured], took: str) -> float:
    """Seconds for each of the most futures."""
    return float(waits[-1][took] / waits[-1]["futures"])


def _at(line: Line, count: int) -> float:
    return line[0] + line[1] * count
