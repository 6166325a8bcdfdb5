"""Steps on a GPU: packs against cells one after another, compiling, precision, images that stay on
the host, and the guard of memory.

Every function works on the device of its data, so that a small run on a CPU goes the same way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch

from benchmarks.speed.measure import Times, interleaved
from benchmarks.speed.steps import Work, cells
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.training import gpu_memory
from harness.training.trainer import PackTrainer

PACKED = ("vae", "gmvae", "ssvae", "convvae")
PRECISIONS = ("float32", "tf32", "bf16")  # those of GPUs


def packed_and_alone(model: str, count: int, data: Data, rounds: int) -> tuple[Times, Times]:
    """Seconds of a step of each of `count` cells: of all in a pack, and of one after another."""
    of_model = cells(model, count)
    alone = [PackTrainer([cell], data) for cell in of_model]

    def take_each() -> None:
        for pack in alone:
            pack.train_step()

    work = {"packed": PackTrainer(of_model, data).train_step, "alone": take_each}
    times = interleaved(_waiting(work, data.device), rounds)
    return times["packed"], times["alone"]


def eager_and_compiled(model: str, count: int, data: Data, rounds: int) -> dict[str, Times]:
    """Seconds of a step of a pack, eager and compiled; compiling raises what the compiler does."""
    of_model = cells(model, count)
    work: Work = {
        "eager": PackTrainer(of_model, data).train_step,
        "compiled": PackTrainer(of_model, data, compiled=True).train_step,
    }
    return interleaved(_waiting(work, data.device), rounds)


def precisions(
    model: str, count: int, data: Data, rounds: int, names: Sequence[str] = PRECISIONS
) -> dict[str, Times]:
    """Seconds of a step of a pack, by the precision of its layers."""
    work: Work = {name: PackTrainer(cells(model, count, name), data).train_step for name in names}
    return interleaved(_waiting(work, data.device), rounds)


def kept_and_streamed(
    model: str, count: int, data: Data, device: torch.device, rounds: int
) -> dict[str, Times]:
    """Seconds of a step of a pack, with the training images on the device and on the host.

    data: on the host
    """
    of_model = cells(model, count)
    work: Work = {
        "kept": PackTrainer(of_model, data.to(device)).train_step,
        "streamed": PackTrainer(of_model, data.to(device, 0)).train_step,
    }
    return interleaved(_waiting(work, device), rounds)


def foretold_and_taken(model: str, count: int, data: Data) -> tuple[float, float]:
    """Bytes of a pack at its peak: as the guard foretells it from packs of one and of two cells,
    and as measured.
    """
    one, two, all_cells = _peaks(cells(model, count), (1, 2, count), data)
    return one + (count - 1) * (two - one), all_cells


def _peaks(of_model: Sequence[Cell], sizes: Sequence[int], data: Data) -> Iterator[int]:
    for size in sizes:

        def step(size: int = size) -> None:
            PackTrainer(of_model[:size], data).train_step()

        yield gpu_memory.measure_peak_bytes(step, data.device)


def _waiting(work: Mapping[str, Callable[[], object]], device: torch.device) -> Work:
    """The same work, each until the device has ended it."""

    def run(step: Callable[[], object]) -> None:
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return {name: partial(run, step) for name, step in work.items()}
