"""Early ends: after the first SIGINT or SIGTERM trials save checkpoints; a second ends at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from harness.errors import StalledError

GRACE_SECONDS = 20.0  # that trials have to save checkpoints
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; preemption, scancel, ray job stop


def interrupt(number: int, frame: FrameType | None) -> None:
    """Signal handler: raise KeyboardInterrupt in the main thread."""
    raise KeyboardInterrupt


def _interrupt_main() -> None:
    """Send the main thread a signal, which also ends a blocking call."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class StopRequest:
    """Whether the run is to end.

    While it is open, the first signal requests a stop. A second signal, or `grace` seconds,
    interrupt the main thread, in which it must be opened. `request` needs no signal and gives a
    reason, with which StalledError is raised at the end.
    """

    def __init__(self, grace: float = GRACE_SECONDS):
        self.requested = False
        self.reason = ""
        self.timer = threading.Timer(grace, _interrupt_main)
        self.timer.daemon = True

    def __enter__(self) -> Self:
        self.previous_handlers = {
            number: signal.signal(number, self._on_signal) for number in SIGNALS
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.timer.cancel()
        for number, handler in self.previous_handlers.items():
            signal.signal(number, handler)
        if kind is KeyboardInterrupt and self.reason:
            raise StalledError(self.reason) from None

    def request(self, reason: str = "") -> None:
        """Request a stop, from any thread; only the first request counts."""
        if not self.requested:
            self.requested, self.reason = True, reason
            self.timer.start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            interrupt(number, frame)
        self.request()
