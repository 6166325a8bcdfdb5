"""Ends a run in which nothing moves any more, and says first what it waits for."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from harness.execution.retries import Tries
from harness.execution.shutdown import Stop

NOTICES = 3  # words of warning within them
LOOK_SECONDS = 1.0


class Watchdog:
    """A thread of its own, as whatever hangs may be Ray; `moved` calms it.

    `patience`, in seconds, must bear a first compilation, scoring with many draws, and new
    machines.
    """

    def __init__(self, patience: float, tries: Tries, stop: Stop):
        self.patience, self.tries, self.stop = patience, tries, stop
        self.last, self.notices = time.monotonic(), 0
        self.over = threading.Event()
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
        self.over.set()
        self.thread.join()

    def moved(self) -> None:
        """Something moved."""
        self.last, self.notices = time.monotonic(), 0

    def waits_for(self) -> str:
        """How many trials are silent and how many wait, in words."""
        running, waiting = len(self.tries.running), len(self.tries.waiting)
        return f"{running} trials were handed to Ray and are silent or not begun, {waiting} wait"

    def look(self) -> None:
        """Warn where nothing moved for a while, and ask for the end of the run where the patience
        is over.
        """
        quiet = time.monotonic() - self.last
        if quiet >= self.patience:
            self.stop.ask(f"nothing moved for {quiet / 60:.0f} min: {self.waits_for()}")
        elif quiet >= self.patience * (self.notices + 1) / (NOTICES + 1):
            self.notices += 1
            end = f"the run ends at {self.patience / 60:.0f} min"
            print(
                f"nothing moved for {quiet / 60:.0f} min: {self.waits_for()}; {end}",
                file=sys.stderr,
            )

    def _watch(self) -> None:
        while not self.over.wait(min(LOOK_SECONDS, self.patience / 10)) and not self.stop.asked:
            self.look()
