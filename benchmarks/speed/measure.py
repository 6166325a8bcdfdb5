"""Time contenders in turn, round after round, so that other load affects all of them alike."""

import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import psutil

WARM_UP = 2


@dataclass
class Times:
    """Seconds of each round."""

    taken: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.taken)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles; the extremes of fewer than four rounds."""
        if len(self.taken) < 4:
            return min(self.taken), max(self.taken)
        low, _, high = statistics.quantiles(self.taken, n=4)
        return low, high


def interleaved(
    contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = WARM_UP
) -> dict[str, Times]:
    """Time every contender once per round, after `warm_up` rounds that are not counted."""
    times = {name: Times() for name in contenders}
    for number in range(-warm_up, rounds):
        for name, work in contenders.items():
            started = time.perf_counter()
            work()
            if number >= 0:
                times[name].taken.append(time.perf_counter() - started)
    return times


def ratio(above: Times, below: Times) -> Times:
    """Ratios round by round, so that the load of a round cancels."""
    return Times([a / b for a, b in zip(above.taken, below.taken, strict=True)])


def command(words: list[str], **environment: str) -> None:
    """Run a command; raise `RuntimeError` with its output if it fails."""
    found = subprocess.run(words, env=dict(environment), capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(
            f"{' '.join(words)} ended with {found.returncode}:\n{found.stdout}\n{found.stderr}"
        )


class Peak:
    """The most memory that this process's descendants take while it is open, in bytes: together,
    and a Ray worker.

    Shared pages count once: proportional set sizes.
    """

    def __enter__(self) -> Self:
        self.together = self.worker = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            sizes = []
            for process in psutil.Process().children(recursive=True):
                try:
                    size = process.memory_full_info().pss
                    trainer = process.cmdline()[:1] and process.cmdline()[0].startswith(
                        "ray::ResourceTrainable"
                    )
                except psutil.Error:
                    continue
                sizes.append(size)
                if trainer:
                    self.worker = max(self.worker, size)
            self.together = max(self.together, sum(sizes))
