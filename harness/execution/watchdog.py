"""Ends a run in which nothing moves any more, and says first what it waits for."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from harness.execution.retries import RetryQueue
from harness.execution.shutdown import StopRequest

MAX_WARNINGS = 3  # words of warning within them
CHECK_SECONDS = 1.0


class Watchdog:
    """A thread of its own, as whatever hangs may be Ray; `reset` calms it.

    `patience`, in seconds, must bear a first compilation, scoring with many draws, and new
    machines.
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
        """Something moved."""
        self.last_progress, self.warnings_given = time.monotonic(), 0

    def describe_wait(self) -> str:
        """How many trials are silent and how many wait, in words."""
        running, waiting = len(self.queue.running), len(self.queue.waiting)
        return f"{running} trials were handed to Ray and are silent or not begun, {waiting} wait"

    def check(self) -> None:
        """Warn where nothing moved for a while, and ask for the end of the run where the patience
        is over.
        """
        idle_seconds = time.monotonic() - self.last_progress
        if idle_seconds >= self.patience:
            self.stop.request(
                f"nothing moved for {idle_seconds / 60:.0f} min: {self.describe_wait()}"
            )
        elif idle_seconds >= self.patience * (self.warnings_given + 1) / (MAX_WARNINGS + 1):
            self.warnings_given += 1
            deadline = f"the run ends at {self.patience / 60:.0f} min"
            print(
                f"nothing moved for {idle_seconds / 60:.0f} min: {self.describe_wait()}; "
                f"{deadline}",
                file=sys.stderr,
            )

    def _watch(self) -> None:
        while (
            not self.closed.wait(min(CHECK_SECONDS, self.patience / 10)) and not self.stop.requested
        ):
            self.check()
