"""Updates of a trial at steady intervals: the trial runs in a thread, so long calls block nothing.

A worker that computes for an hour without a new update still reports its CPU time, which tells the
driver that it works and does not hang.
"""

import threading
import time
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from harness.training.task import Update

MIN_CPU_SHARE = 0.02  # of one CPU; a process that uses less does not work


class Heartbeat:
    """Runs a trial in a thread; `next` returns its latest update within `seconds`.

    Points of learning curves are returned once each, those of updates that came in between too.
    """

    def __init__(self, updates: Generator[Update, None, None], seconds: float):
        self._updates, self._seconds = updates, seconds
        self._latest, self._error = Update(), None  # type: tuple[Update, BaseException | None]
        self._points: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._updated, self._stop, self._finished = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next(self) -> Update:
        """The latest update, with the clocks of this process; raises the error of the trial."""
        if not self._finished.is_set():
            self._updated.wait(self._seconds)
        self._updated.clear()
        if self._error is not None:
            raise self._error
        return replace(
            self._latest,
            cpu_seconds=time.process_time(),
            wall_seconds=time.monotonic(),
            points=[self._points.popleft() for _ in range(len(self._points))],
        )

    def close(self) -> None:
        """End the trial at its next update, after it has saved checkpoints, and wait for that."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for update in self._updates:
                self._points.extend(update.points)
                self._latest = update
                self._updated.set()
                if self._stop.is_set():
                    self._updates.close()
        except BaseException as error:
            self._error = error
        self._finished.set()
        self._updated.set()


def is_at_work(before: Update, now: Update) -> bool:
    """Whether a trial made progress between two updates, or its process used the CPU."""
    cpu, wall = now.cpu_seconds - before.cpu_seconds, now.wall_seconds - before.wall_seconds
    return _without_clocks(before) != _without_clocks(now) or (
        wall > 0 and cpu >= MIN_CPU_SHARE * wall
    )


def _without_clocks(update: Update) -> Update:
    return replace(update, cpu_seconds=0.0, wall_seconds=0.0)
