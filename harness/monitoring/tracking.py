"""Calls the trackers of a run, so that none that fails costs a row."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from harness.errors import InputError, StorageError, short_repr
from harness.experiment.cell import Cell
from harness.experiment.grid import name_cells
from harness.monitoring import services as services  # the shipped trackers register themselves
from harness.monitoring import tensorboard as tensorboard
from harness.monitoring.run_status import describe_end
from harness.plugins.tracker import HOOKS, TrackedRun, find_tracker
from harness.storage.schema import describe_cell
from harness.storage.store import Store
from harness.training.task import Update


@dataclass(frozen=True, eq=False)
class NamedTracker:
    """A tracker, and what it is called in messages."""

    name: str
    tracker: Any


def make_trackers(choices: Iterable[Any], results: str) -> list[NamedTracker]:
    """The trackers of a run, from names, classes and objects; InputError where one cannot be used
    with results at this address.
    """
    return [_make_tracker(choice, results) for choice in dict.fromkeys(choices)]


def _make_tracker(choice: Any, results: str) -> NamedTracker:
    known = find_tracker(choice) if isinstance(choice, str) else choice
    name = choice if isinstance(choice, str) else getattr(choice, "__name__", type(choice).__name__)
    if not any(hasattr(known, hook) for hook in HOOKS):
        raise InputError(
            f"tracker {short_repr(choice)}: expected a name, or a class with one of "
            f"{', '.join(HOOKS)}"
        )
    try:
        tracker = known() if isinstance(known, type) else known
        if hasattr(tracker, "check"):
            tracker.check(results)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"tracker '{name}' cannot be used: {_format_error(error)}") from error
    return NamedTracker(name, tracker)


def make_tracked_run(record: Mapping[str, Any], store: Store, cells: Sequence[Cell]) -> TrackedRun:
    """What trackers are given when a run starts, from the run's record."""
    names = name_cells(cells)
    described = {cell.id: {"name": names[cell], **describe_cell(cell)} for cell in cells}
    return TrackedRun(record["run"], record["grid"]["name"], store.address, record, described)


class Tracking:
    """Passes a run on to its trackers while it is open."""

    def __init__(self, trackers: Sequence[NamedTracker], run: TrackedRun, store: Store):
        self.trackers, self.run, self.store = list(trackers), run, store
        self.steps: dict[str, int] = {}  # of the last point, by cell
        self.ended: set[str] = set()

    def __enter__(self) -> Self:
        self._call("on_run_start", self.run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call("on_run_end", describe_end(error))

    def on_update(self, update: Update) -> None:
        """Pass on the new points and rows of an update of any task."""
        for cell, point in update.points if self.trackers else ():
            if point["step"] > self.steps.get(cell, -1):  # a retried trial repeats some
                self.steps[cell] = point["step"]
                self._call("on_update", cell, point)
        self.pass_rows(update.ended)

    def pass_rows(self, cells: Iterable[str]) -> None:
        """Pass on the rows of cells (their ids) that have ended."""
        for cell in cells if self.trackers else ():
            if cell not in self.ended:
                self.ended.add(cell)
                with suppress(StorageError):  # the trials retry storage, and say if it stays away
                    self._call("on_row", self.store.row(cell))

    def _call(self, hook: str, *values: Any) -> None:
        """Call a method of every tracker that has it; one that fails is left out afterwards."""
        for each in list(self.trackers):
            try:
                getattr(each.tracker, hook, _do_nothing)(*values)
            except (Exception, SystemExit) as error:
                self.trackers.remove(each)
                _end_failed(each, hook, _format_error(error))


def _end_failed(failed: NamedTracker, hook: str, reason: str) -> None:
    """Say why a tracker is left out, and let it end what it has begun."""
    print(
        f"tracker '{failed.name}' failed in {hook} and is left out from here on: {reason}",
        file=sys.stderr,
    )
    if hook != "on_run_end":
        with suppress(Exception, SystemExit):
            getattr(failed.tracker, "on_run_end", _do_nothing)(reason)


def _do_nothing(*values: Any) -> None:
    """What a method does that a tracker does not have."""


def _format_error(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
