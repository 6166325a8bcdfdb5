"""What the live page shows: the runs that go on, their learning curves, why cells failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import StorageError
from harness.monitoring import run_status
from harness.monitoring.display import MAX_SHOWN, describe_state, format_duration, summary
from harness.monitoring.run_status import PackProgress, RunStatus
from harness.storage.store import Store

MAX_POINTS = 120  # of a curve
CURVE_SIZE = (160, 32)  # CSS pixels, width and height

Points = list[tuple[int, float]]


@dataclass
class LiveState:
    """The runs of a store as they were last read, and the curves of the packs that run.

    A status holds the present NELBO alone, so the points of a curve are those that were seen since
    the page was started. `message` says why the store could not be read, and is empty where it was.
    """

    store: Store
    runs: Sequence[RunStatus] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    curves: dict[tuple[str, str], Points] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read the statuses again; a storage that fails keeps what was read before."""
        try:
            statuses = run_status.read(self.store)
            shown = [one for one in statuses if one.is_active] or statuses[-1:]
            failures = [each for run in shown for each in run.failures[:MAX_SHOWN]]
            self.reasons = {
                each.cell: self.reasons.get(each.cell)
                or run_status.read_failure_reason(self.store, each.cell)
                for each in failures
            }
            self.runs, self.message = shown, ""
        except StorageError as error:
            self.message = str(error)
        self._extend_curves()

    def _extend_curves(self) -> None:
        running = {(run.run, pack.name): pack for run in self.runs for pack in run.packs}
        self.curves = {key: extend(self.curves.get(key, []), pack) for key, pack in running.items()}

    def describe(self) -> list[dict[str, Any]]:
        """What the template shows of each run, the newest last."""
        return [self._describe_run(run) for run in self.runs]

    def _describe_run(self, run: RunStatus) -> dict[str, Any]:
        return {
            "grid": run.grid,
            "state": describe_state(run),
            "summary": summary(run),
            "done": run.before + run.done,
            "cells": run.asked,
            "left": "" if run.end or not run.left else f"about {format_duration(run.left)} left",
            "outlook": run.outlook,
            "packs": [
                {"progress": pack, "curve": draw_curve(self.curves.get((run.run, pack.name), []))}
                for pack in run.packs[:MAX_SHOWN]
            ],
            "more": run.running - len(run.packs[:MAX_SHOWN]),
            "failures": [
                {"failure": one, "reason": self.reasons.get(one.cell, "")}
                for one in run.failures[:MAX_SHOWN]
            ],
            "failed": run.failed,
        }


def extend(points: Points, pack: PackProgress) -> Points:
    """Points of a curve with that of now; every second one is dropped where they are too many.

    A pack that has gone back starts anew, as its points after a retry would cross the older ones.
    """
    if pack.nelbo is None or (points and pack.step == points[-1][0]):
        return points
    kept = [point for point in points if point[0] < pack.step]
    if len(kept) >= MAX_POINTS:
        kept = kept[::2]
    return [*kept, (pack.step, pack.nelbo)]


def draw_curve(points: Points) -> str:
    """Points -> the `points` of an SVG polyline that fills `CURVE_SIZE`; empty below two points.

    >>> draw_curve([(0, 200.0), (50, 110.0), (100, 100.0)])
    '0,1 80,28 160,31'
    """
    if len(points) < 2:
        return ""
    width, height = CURVE_SIZE
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    rise = (high - low) or 1.0
    across = [width * (step - steps[0]) / (steps[-1] - steps[0]) for step in steps]
    down = [1 + (height - 2) * (high - value) / rise for value in values]
    return " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(across, down, strict=True))
