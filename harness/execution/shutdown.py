"""Ending early: the first SIGINT or SIGTERM asks the trials to save what they have, the second ends
at once.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from harness.errors import StalledError

GRACE_SECONDS = (
    20.0  # seconds that trials have for their checkpoints; a second signal needs no patience
)
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; a preemption's notice, scancel, ray job stop


def interrupt(number: int, frame: FrameType | None) -> None:
    """What a signal does: it raises KeyboardInterrupt where the main thread stands."""
    raise KeyboardInterrupt


def _interrupt_main() -> None:
    """From another thread: a real signal, which wakes the main thread from whatever it waits for."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class StopRequest:
    """Whether the run is to end. While it is open, a signal asks; the next one, or GRACE seconds,
    interrupts.

    `request` does the same without a signal, and leaves a reason. To be opened in the main thread.
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
        """Have the run end, for a reason; from any thread. The first who asks is heard."""
        if not self.requested:
            self.requested, self.reason = True, reason
            self.timer.start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            interrupt(number, frame)
        self.request()
