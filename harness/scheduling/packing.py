"""Choose which cells train together: packs that keep all slots busy to the end, longest first."""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from harness.experiment.cell import Cell
from harness.training.task import MAX_PACK_SIZE, Cost, Costs

MAX_TIME_LIMITS = 64  # ways to split that are compared, each evenly and full
START_SECONDS = 0.5  # of a trial, whatever it trains

Pack = tuple[Cell, ...]


def group_by_pack_key(cells: Iterable[Cell]) -> dict[Cell, list[Cell]]:
    """Cells that can train together, by what they share (`Cell.pack_key`)."""
    groups: dict[Cell, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.pack_key, []).append(cell)
    return groups


def fixed_packs(cells: Iterable[Cell], size: int) -> list[Pack]:
    """Packs of `size` cells in the order of the cells; the last pack of a kind may be smaller."""
    groups = group_by_pack_key(cells).values()
    return [
        tuple(group[p.start : p.stop])
        for group in groups
        for p in _split_full(range(len(group)), size)
    ]


def balanced_packs(cells: Iterable[Cell], costs: Costs, slots: int) -> list[Pack]:
    """The packs that end soonest on `slots` concurrent trials; of equally fast splits the one
    with the fewest packs.

    Every kind is split into packs that take at most a limit of time, evenly or all full but the
    last. The times that a pack can take are tried as the limit, at most MAX_TIME_LIMITS of them.
    Sizes that this machine has compiled save the time to compile others.
    """
    groups = group_by_pack_key(cells)
    max_sizes = {
        kind: costs[kind].saturation_size(min(MAX_PACK_SIZE, len(group)))
        for kind, group in groups.items()
    }
    times = {
        kind: [_estimate_seconds(kind, costs, size + 1) for size in range(max_sizes[kind])]
        for kind in groups
    }
    limits = sorted({time for each in times.values() for time in each}, reverse=True)
    best_packs, best_result = [], (math.inf, 0)
    for limit in limits[:: max(1, -(-len(limits) // MAX_TIME_LIMITS))]:
        sizes = {kind: max(1, sum(time <= limit for time in each)) for kind, each in times.items()}
        for split in (_split_evenly, _split_full):
            ranges = {kind: split(range(len(group)), sizes[kind]) for kind, group in groups.items()}
            loads = [
                load
                for number, (kind, each) in enumerate(ranges.items())
                for load in _list_kind(number, costs[kind], times[kind], map(len, each))
            ]
            loads.sort(key=attrgetter("seconds"), reverse=True)
            candidate = (_makespan(loads, slots), len(loads))
            if candidate < best_result:
                best_result = candidate
                best_packs = [
                    tuple(groups[kind][p.start : p.stop])
                    for kind, each in ranges.items()
                    for p in each
                ]
    return longest_first(best_packs, costs)


def longest_first(packs: Iterable[Pack], costs: Costs) -> list[Pack]:
    """Sort packs by their duration, so that the last to start is short (Graham 1969)."""
    return sorted(packs, key=lambda pack: -pack_seconds(pack, costs))


def pack_seconds(pack: Pack, costs: Costs) -> float:
    """Seconds that a pack takes, with its start, where its code is compiled."""
    return _estimate_seconds(pack[0].pack_key, costs, len(pack))


def makespan(packs: Iterable[Pack], costs: Costs, slots: int) -> float:
    """Seconds until the last pack ends, if each starts as soon as a slot is free."""
    return _makespan(_list_loads(packs, costs), slots)


def compile_seconds(packs: Iterable[Pack], costs: Costs, slots: int) -> list[float]:
    """Seconds that each pack spends on compiling what this machine has not compiled before."""
    return [compiling for compiling, _ in _play_through(_list_loads(packs, costs), slots)]


class _Load(NamedTuple):
    """What a pack takes: seconds besides compiling; the number of its kind with its size, and the
    seconds of compiling this code, 0 where the machine has it.
    """

    seconds: float
    code: tuple[int, int]
    compile: float


def _list_kind(
    number: int, cost: Cost, seconds: Sequence[float], sizes: Iterable[int]
) -> Iterator[_Load]:
    """The loads of packs of these sizes of one kind; `seconds` are those of 1, 2, ... cells."""
    made: dict[int, _Load] = {}
    for size in sizes:
        if size not in made:
            made[size] = _Load(seconds[size - 1], (number, size), cost.compile_seconds(size))
        yield made[size]


def _list_loads(packs: Iterable[Pack], costs: Costs) -> list[_Load]:
    numbers: dict[Cell, int] = {}
    loads = []
    for pack in packs:
        kind, size = pack[0].pack_key, len(pack)
        code = numbers.setdefault(kind, len(numbers)), size
        compiling = costs[kind].compile_seconds(size)
        loads.append(_Load(pack_seconds(pack, costs), code, compiling))
    return loads


def _makespan(loads: Iterable[_Load], slots: int) -> float:
    return max((end for _, end in _play_through(loads, slots)), default=0.0)


def _play_through(loads: Iterable[_Load], slots: int) -> Iterator[tuple[float, float]]:
    """The seconds of compiling and the end of each pack, if each starts as soon as a slot is free.

    A pack compiles its code unless the machine has it, from earlier or from a pack that was ready
    before this one starts.
    """
    free = [0.0] * slots
    ready: dict[tuple[int, int], float] = {}
    for seconds, code, compiling in loads:
        start = free[0]
        if compiling and ready.setdefault(code, start + compiling) <= start:
            compiling = 0.0
        end = start + compiling + seconds
        heapq.heapreplace(free, end)
        yield compiling, end


def _estimate_seconds(kind: Cell, costs: Costs, size: int) -> float:
    cost = costs[kind]
    start = START_SECONDS + cost.load
    return start + kind.iterations * cost.step_seconds(size) + cost.score * size


def _split_full(group: range, size: int) -> list[range]:
    return [group[first : first + size] for first in range(0, len(group), size)]


def _split_evenly(group: range, size: int) -> list[range]:
    """As few parts of at most `size` as possible, as equal as possible.

    >>> [len(part) for part in _split_evenly(range(10), 4)]
    [4, 3, 3]
    """
    count = -(-len(group) // size)
    bounds = [-(-len(group) * place // count) for place in range(count + 1)]
    return [group[first:last] for first, last in pairwise(bounds)]
