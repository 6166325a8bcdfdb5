"""The report of a store, written again whenever its rows change."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StorageError
from harness.storage.layout import ROWS, TABLE
from harness.storage.store import Store

PRIORITY = 10  # of the process that writes: the run goes first
REST = 5.0  # times what a report takes, until the next is begun
CHECKOUT = Path(__file__).parents[3]


@dataclass
class ReportWriter:
    """Writes the report in a process of its own, which ends with `close`.

    html: the newest report, empty before the first. version: how many there have been. message: why
    the last one failed, or empty. It is written at a low priority and rests in between, so that the
    run keeps its CPUs.
    """

    store: Store
    address: str
    folder: Path
    html: bytes = b""
    version: int = 0
    message: str = ""
    _seen: Any = None
    _process: "subprocess.Popen[bytes] | None" = None
    _begun: float = 0.0
    _next: float = field(default=0.0)

    def poll(self) -> None:
        """Take up a report that is ready; begin the next where rows have changed."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._take_up(self._process.returncode)
        if time.monotonic() < self._next:
            return
        try:
            found = (self.store.backend.version(TABLE), self.store.backend.versions(*ROWS))
        except StorageError:
            return  # the page says so; the next poll tries again
        if found != (None, {}) and found != self._seen:
            self._begin()
            self._seen = found

    def close(self) -> None:
        """End the process that writes, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _begin(self) -> None:
        command = [sys.executable, "-m", "analysis.report", self.address, "--out", str(self.folder)]
        path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
        with (self.folder / "errors.txt").open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | {"PYTHONPATH": path},
            )
        os.setpriority(os.PRIO_PROCESS, self._process.pid, PRIORITY)
        self._begun = time.monotonic()

    def _take_up(self, code: int) -> None:
        now = time.monotonic()
        self._process, self._next = None, now + REST * (now - self._begun)
        if code == 0:
            self.html, self.message = (self.folder / "report.html").read_bytes(), ""
            self.version += 1
        else:
            lines = (self.folder / "errors.txt").read_text(errors="replace").splitlines()
            self.message = lines[-1] if lines else f"the report ended with exit code {code}"
