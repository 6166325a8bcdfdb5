"""Whole grids, each a command of its own: seconds from start to end and peak memory."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.speed.measure import Peak, Times, command, interleaved

STEPS = 1000
HARNESS = [sys.executable, "harness/bench.py"]
NOOP = ["--models", "noop", "--plugin", "benchmarks/speed/noop.py", "--labels", "10"]
GIB = 2**30


def ours(*flags: str, **environment: str) -> Path:
    """Run the harness into an empty folder; the folder."""
    folder = Path(tempfile.mkdtemp()) / "results"
    command([*HARNESS, *flags, "--results", str(folder)], **(dict(os.environ) | environment))
    return folder


def grids(rounds: int) -> tuple[dict[str, Times], dict[str, float]]:
    """Seconds of the grid `quick` by contender, and the peak memory of each, GiB."""
    peaks: dict[str, float] = {}

    def watched(name: str, work: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            with Peak() as peak:
                work()
            peaks[name] = max(peaks.get(name, 0.0), peak.together / GIB)

        return run

    def rival(module: str) -> Callable[[], object]:
        return lambda: command([sys.executable, "-m", f"benchmarks.speed.{module}", str(STEPS)], **os.environ)

    contenders = {
        "harness": lambda: ours("quick"),
        "plain script": rival("plain"),
        "plain Ray Tune": rival("plain_tune"),
    }
    times = interleaved({name: watched(name, work) for name, work in contenders.items()}, rounds, warm_up=0)
    return times, peaks


def first_time() -> float:
    """Seconds of the grid `quick` on a machine where nothing was compiled before."""
    began = time.perf_counter()
    ours("quick", TORCHINDUCTOR_CACHE_DIR=tempfile.mkdtemp())
    return time.perf_counter() - began


def worker_memory() -> float:
    """GiB of the worker that trains a pack of eight `vae`, at most."""
    with Peak() as peak:
        ours("--models", "vae", "--seeds", "8", "--pack", "8", "--iterations", "1000")
    return peak.worker / GIB


def overhead(counts: list[int]) -> dict[int, float]:
    """Seconds a cell of so many cells that do nothing, less what the command takes for one."""
    alone = _wall("--seeds", "1")
    return {count: (_wall("--seeds", str(count)) - alone) / count for count in counts}


def start() -> float:
    """Seconds from the end of a trial to that of the next, which trains one cell that does nothing."""
    few, many = 4, 24
    return (_wall("--seeds", str(many), "--pack", "1") - _wall("--seeds", str(few), "--pack", "1")) / (many - few)


def _wall(*flags: str) -> float:
    began = time.perf_counter()
    ours(*NOOP, *flags)
    return time.perf_counter() - began
