"""What a step costs, measured: a few steps of each kind of pack, alone and a few cells together."""

import time
from collections.abc import Iterable, Mapping, Sequence

import torch

from harness.choices import Compile
from harness.data import Data
from harness.engine import Pack, prepared
from harness.grid import Cell
from harness.packing import Cost, kinds

STEPS = 5
ASSUMED = 100  # cells that take a GPU twice as long as one: a guess, where there is none to measure
TOGETHER = 4  # cells of the second measurement
WORTH_COMPILING = 300.0  # seconds of training for whose estimate it is worth to compile


def costs(
    cells: Iterable[Cell],
    sets: Mapping[str, Data],
    listed: Sequence[int],
    threads: int,
    gpu: bool,
    mode: Compile,
) -> dict[Cell, Cost]:
    """What a step of each kind of cells costs on this machine, by `engine.key`."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    device = torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")
    try:
        found = {
            kind: _cost(group, sets[kind.dataset].to(device), listed, mode) for kind, group in kinds(cells).items()
        }
    finally:
        torch.set_num_threads(before)
    return {kind: elsewhere(cost) for kind, cost in found.items()} if gpu and device.type == "cpu" else found


def elsewhere(cost: Cost) -> Cost:
    """What is assumed of GPUs where this machine has none to measure: a pack of a hundred takes as two of one cell."""
    one = cost.step(1)
    return Cost(one * (1 - 1 / ASSUMED), one / ASSUMED)


def _cost(group: Sequence[Cell], data: Data, listed: Sequence[int], mode: Compile) -> Cost:
    """By eager packs of one cell and of several; where the training is long, in proportion to one as it will run."""
    size = min(TOGETHER, len(group))
    one, several = step_seconds([Pack(group[:count], data, listed) for count in (1, size)])
    each = max((several - one) / (size - 1), several / size / 2) if size > 1 else one
    ratio = 1.0
    if group[0].iterations * len(group) * several / size >= WORTH_COMPILING:
        ratio = step_seconds([prepared(group[:size], data, listed, mode=mode)])[0] / several
    return Cost(max(0.0, one - each) * ratio, each * ratio)


def step_seconds(packs: Sequence[Pack]) -> list[float]:
    """The fastest of a few steps of each pack, taken in turn: whatever else the machine does meets all of them."""
    times: list[list[float]] = [[] for _ in packs]
    for _ in range(STEPS):
        for pack, taken in zip(packs, times, strict=True):
            started = time.perf_counter()
            pack.one_step()
            if pack.device.type == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - started)
    return [min(taken) for taken in times]
