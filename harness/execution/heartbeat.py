"""News of a trial at steady intervals, also while one call takes long: the trial runs in a thread
of its own.

A worker that computes for an hour without an update still says that it is alive and how much CPU
time it has used. By that a driver tells work from a process that hangs.
"""

import threading
import time
from collections.abc import Generator
from dataclasses import replace

from harness.training.task import Update

MIN_CPU_SHARE = 0.02  # of a CPU, that a process at work uses at least


class Heartbeat:
    """Runs the updates of a trial in a thread; `next` gives the latest, after `seconds` at most."""

    def __init__(self, updates: Generator[Update, None, None], seconds: float):
        self._updates, self._seconds = updates, seconds
        self._latest, self._error = Update(), None  # type: tuple[Update, BaseException | None]
        self._updated, self._stop, self._finished = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next(self) -> Update:
        """The latest update, with the clocks of this process; what ended the trial badly is raised."""
        if not self._finished.is_set():
            self._updated.wait(self._seconds)
        self._updated.clear()
        if self._error is not None:
            raise self._error
        return replace(self._latest, cpu_seconds=time.process_time(), wall_seconds=time.monotonic())

    def close(self) -> None:
        """End the trial at its next update, checkpoints first, and wait for that."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for update in self._updates:
                self._latest = update
                self._updated.set()
                if self._stop.is_set():
                    self._updates.close()
        except BaseException as error:
            self._error = error
        self._finished.set()
        self._updated.set()


def is_at_work(before: Update, now: Update) -> bool:
    """Whether a trial moved between two of its updates, or its process computed."""
    cpu, wall = now.cpu_seconds - before.cpu_seconds, now.wall_seconds - before.wall_seconds
    return _without_clocks(before) != _without_clocks(now) or (
        wall > 0 and cpu >= MIN_CPU_SHARE * wall
    )


def _without_clocks(update: Update) -> Update:
    return replace(update, cpu_seconds=0.0, wall_seconds=0.0)
