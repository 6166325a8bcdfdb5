"""Measure the cost of a step: a few steps of each kind, for one cell and for several together."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch

from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.scheduling.call_timing import trial_threads
from harness.scheduling.compile_cost import add_compile_cost
from harness.scheduling.packing import group_by_pack_key
from harness.training.compilation import compiles
from harness.training.process_tuning import flush_denormals
from harness.training.task import Cost
from harness.training.trainer import PackTrainer, make_trainer

TIMED_STEPS = 5
GPU_DOUBLING_CELLS = (
    100  # cells that take a GPU twice as long as one: a guess, where there is none to measure
)
PROBE_CELLS = 4  # cells of the second measurement
LONG_STEP_SECONDS = 0.03  # of a step on a CPU, Python takes a few milliseconds
MIN_SECONDS_TO_COMPILE = 300.0  # of training; below, compiling for the estimate does not pay
MAX_COMPILED_KINDS = 2  # at most, the most expensive; the others are assumed to gain as much
# what is left after compiling: of the cost that the cells of a pack share, and of that of a cell
COMPILED_OVERHEAD_SHARE, COMPILED_CELL_SHARE = 0.25, 0.78


def measure_step_costs(
    cells: Iterable[Cell],
    sets: Mapping[str, Data],
    labelled_indices: Sequence[int],
    threads: int,
    gpu: bool,
    mode: Compile,
) -> dict[Cell, Cost]:
    """The cost of a step of each kind of cells on this machine, by `Cell.pack_key`."""
    device = torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")
    device_sets = {name: data.to(device) for name, data in sets.items()}
    groups = group_by_pack_key(cells)
    with trial_threads(threads), flush_denormals():
        costs = {}
        for kind, group in groups.items():
            with registry.isolate_model(kind.model):
                data = device_sets[kind.dataset]
                alone = PackTrainer(group[:1], data, labelled_indices)
                costs[kind] = _measure_eager(alone, group, data, labelled_indices)
                if compiles(kind, mode, alone.device):
                    costs[kind] = add_compile_cost(costs[kind], kind, alone, threads)
        costs = _with_compilation(costs, groups, device_sets, labelled_indices, mode)
    return (
        {kind: assumed_gpu_cost(cost) for kind, cost in costs.items()}
        if gpu and device.type == "cpu"
        else costs
    )


def assumed_gpu_cost(cost: Cost) -> Cost:
    """The assumed cost on a GPU, where this machine has none: a pack of a hundred cells takes twice
    as long as one cell.
    """
    one = cost.step_seconds(1)
    return Cost(one * (1 - 1 / GPU_DOUBLING_CELLS), one / GPU_DOUBLING_CELLS)


def _measure_eager(
    alone: PackTrainer, group: Sequence[Cell], data: Data, labelled_indices: Sequence[int]
) -> Cost:
    """Measure packs of one cell and of several; only the first where a step on a CPU is so long
    that the shared part is negligible.
    """
    size = min(PROBE_CELLS, len(group))
    (first,) = time_steps([alone])
    if size == 1 or (first > LONG_STEP_SECONDS and alone.device.type == "cpu"):
        return Cost(0.0, first)
    one, several = time_steps([alone, PackTrainer(group[:size], data, labelled_indices)])
    each = max((several - one) / (size - 1), several / size / 2)
    return Cost(max(0.0, one - each), each)


def _with_compilation(
    eager: Mapping[Cell, Cost],
    groups: Mapping[Cell, Sequence[Cell]],
    sets: Mapping[str, Data],
    labelled_indices: Sequence[int],
    mode: Compile,
) -> dict[Cell, Cost]:
    """The costs with compilation: an assumed part of those without, and those of a compiled step
    where trainings are long.

    COMPILED_OVERHEAD_SHARE is that of `vae` on an Intel Xeon, where cells share 0.8 ms of an eager
    step and 0.2 ms of a compiled one; COMPILED_CELL_SHARE is the median over six kinds of the grids
    `report` and `semi` on an AMD EPYC (0.64 to 0.86).
    """
    devices = {kind: sets[kind.dataset].device for kind in groups}
    compiled_kinds = [kind for kind in groups if compiles(kind, mode, devices[kind])]
    compiled_costs = {
        kind: replace(
            eager[kind],
            fixed=COMPILED_OVERHEAD_SHARE * eager[kind].fixed,
            per_cell=COMPILED_CELL_SHARE * eager[kind].per_cell,
        )
        for kind in compiled_kinds
        if devices[kind].type == "cpu"
    }
    costs = {**eager, **compiled_costs}
    work = {
        kind: kind.iterations * len(groups[kind]) * _seconds_per_cell(costs[kind], groups[kind])
        for kind in compiled_kinds
    }
    candidates = sorted(
        (kind for kind in compiled_kinds if work[kind] >= MIN_SECONDS_TO_COMPILE),
        key=lambda kind: -work[kind],
    )
    ratios: dict[Cell, float] = {}
    for kind in candidates[:MAX_COMPILED_KINDS]:
        group = groups[kind][:PROBE_CELLS]
        with registry.isolate_model(kind.model):
            (seconds,) = time_steps(
                [make_trainer(group, sets[kind.dataset], labelled_indices, mode=mode)]
            )
        ratios[kind] = seconds / costs[kind].step_seconds(len(group))
    ratios = (
        dict.fromkeys(groups, 1.0)
        | dict.fromkeys(candidates, max(ratios.values(), default=1.0))
        | ratios
    )
    return {
        kind: replace(cost, fixed=cost.fixed * ratios[kind], per_cell=cost.per_cell * ratios[kind])
        for kind, cost in costs.items()
    }


def _seconds_per_cell(cost: Cost, group: Sequence[Cell]) -> float:
    """Seconds per cell of a step of several cells."""
    size = min(PROBE_CELLS, len(group))
    return cost.step_seconds(size) / size


def time_steps(packs: Sequence[PackTrainer]) -> list[float]:
    """Seconds of the fastest of a few steps of each pack, timed in turn so that other load affects
    all packs alike.

    On CPUs it is the CPU time of this thread, since Ray starts at the same time.
    """
    times: list[list[float]] = [[] for _ in packs]
    for _ in range(TIMED_STEPS):
        for pack, pack_times in zip(packs, times, strict=True):
            cuda = pack.device.type == "cuda"
            clock = time.perf_counter if cuda else time.thread_time
            started = clock()
            pack.train_step()
            if cuda:
                torch.cuda.synchronize()
            pack_times.append(clock() - started)
    return [min(pack_times) for pack_times in times]
