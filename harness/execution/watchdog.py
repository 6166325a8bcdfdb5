"""Ends a run whose trials make no progress, after warnings."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from harness.execution.retries import RetryQueue
from harness.execution.shutdown import StopRequest

MAX_WARNINGS = 3  # before the run ends
CHECK_SECONDS = 1.0


class Watchdog:
    """A thread that ends the run `patience` seconds after the last `reset`.

    It is a thread because Ray itself may hang. `patience` must exceed the time of a first
    compilation, of scoring with many draws, and of the start of new machines.
    """

    def __init__(self, patience: float, queue: RetryQueue, stop: StopRequest):
        self.patience, self.queue, self.stop = patience, queue, stop
        self.last_progress, self.warnings_given = time.monotonic(), 0
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closed.set()
        self.thread.join()

    def reset(self) -> None:
        """Record progress."""
        self.last_progress, self.warnings_given = time.monotonic(), 0

    def describe_wait(self) -> str:
        """How many trials sent no update, and how many wait."""
        running, waiting = len(self.queue.running), len(self.queue.waiting)
        return f"{running} trials sent no update or did not start, {waiting} wait"

    def check(self) -> None:
        """Warn after each quarter of the patience without progress; at its end request a stop."""
        idle_seconds = time.monotonic() - self.last_progress
        if idle_seconds >= self.patience:
            self.stop.request(
                f"no progress for {idle_seconds / 60:.0f} min: {self.describe_wait()}"
            )
        elif idle_seconds >= self.patience * (self.warnings_given + 1) / (MAX_WARNINGS + 1):
            self.warnings_given += 1
            deadline = f"the run ends at {self.patience / 60:.0f} min"
            print(
                f"no progress for {idle_seconds / 60:.0f} min: {self.describe_wait()}; {deadline}",
                file=sys.stderr,
            )

    def _watch(self) -> None:
        while (
            not self.closed.wait(min(CHECK_SECONDS, self.patience / 10)) and not self.stop.requested
        ):
            self.check()
