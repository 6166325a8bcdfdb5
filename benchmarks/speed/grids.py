"""Complete grids, one command each: seconds from start to end and peak memory."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.speed.measure import Peak, Times, command, interleaved

STEPS = 1000
QUICK = str(Path(__file__).with_name("quick.yaml"))
HARNESS = [sys.executable, "harness/bench.py"]
NOOP = ["--models", "noop", "--plugin", "benchmarks/speed/noop.py", "--labels", "10"]
GIB = 2**30


def ours(*flags: str, **environment: str) -> Path:
    """Run the harness into an empty folder; the folder."""
    folder = Path(tempfile.mkdtemp()) / "results"
    command([*HARNESS, *flags, "--results", str(folder)], **(dict(os.environ) | environment))
    return folder


def grids(rounds: int) -> dict[str, Times]:
    """Seconds of the benchmark's grid `quick` by contender."""

    def rival(module: str) -> Callable[[], object]:
        return lambda: command(
            [sys.executable, "-m", f"benchmarks.speed.{module}", str(STEPS)], **os.environ
        )

    contenders: dict[str, Callable[[], object]] = {
        "harness": lambda: ours(QUICK),
        "plain script": rival("plain"),
        "plain Ray Tune": rival("plain_tune"),
    }
    return interleaved(contenders, rounds, warm_up=0)


def first_time() -> float:
    """Seconds of the grid `quick` on a machine where nothing was compiled before."""
    began = time.perf_counter()
    ours(QUICK, TORCHINDUCTOR_CACHE_DIR=tempfile.mkdtemp())
    return time.perf_counter() - began


def memory() -> tuple[float, float]:
    """GiB, at most, of the grid `quick`, driver and Ray included, and of the worker that trains a
    pack of eight `vae`.

    In runs of their own: to look at the memory of every process twice a second takes time, most
    where there are many.
    """
    with Peak() as whole:
        ours(QUICK)
    with Peak() as pack:
        ours("--models", "vae", "--seeds", "8", "--pack", "8", "--iterations", "1000")
    return whole.together / GIB, pack.worker / GIB


def overhead(counts: list[int]) -> dict[int, float]:
    """Seconds a cell of so many cells that do nothing, less what the command takes for one."""
    alone = _wall("--seeds", "1")
    return {count: (_wall("--seeds", str(count)) - alone) / count for count in counts}


def start() -> float:
    """Seconds from the end of a trial to that of the next, which trains one cell that does nothing.

    Of so many trials that a second more or less for the command's start is lost among them.
    """
    few, many = 4, 204
    return (
        _wall("--seeds", str(many), "--pack", "1") - _wall("--seeds", str(few), "--pack", "1")
    ) / (many - few)


def _wall(*flags: str) -> float:
    began = time.perf_counter()
    ours(*NOOP, *flags)
    return time.perf_counter() - began
