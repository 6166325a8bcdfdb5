"""Writes the status of a run into its store while the run goes on."""

import sys
import threading
from dataclasses import replace

from harness.monitoring import run_status
from harness.monitoring.run_state import RunState
from harness.storage.store import Store

WRITE_SECONDS = 10.0


class StatusWriter:
    """A thread that writes the status every ten seconds: a slow store does not delay the run."""

    def __init__(self, state: RunState, store: Store):
        self.state, self.store = state, store
        self.wake, self.closed, self.has_warned = threading.Event(), False, False
        self.thread = threading.Thread(target=self._write_periodically, daemon=True)

    def start(self) -> None:
        """Start the thread, which writes at once."""
        self.thread.start()

    def close(self, outcome: str) -> None:
        """Write the last status, with how the run ended."""
        self.closed = True
        self.wake.set()
        self.thread.join(WRITE_SECONDS)
        self._write(outcome)

    def _write_periodically(self) -> None:
        while not self.closed:
            self._write()
            self.wake.wait(WRITE_SECONDS)
            self.wake.clear()

    def _write(self, end: str = "") -> None:
        try:
            run_status.write(self.store, replace(self.state.snapshot(), end=end))
        except Exception as error:
            if not self.has_warned:
                print(f"the progress cannot be written ({error}); the run goes on", file=sys.stderr)
            self.has_warned = True
