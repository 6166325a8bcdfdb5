"""Choose which cells train together: packs that keep all slots busy to the end, longest first."""

import heapq
import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from harness.experiment.cell import Cell
from harness.training.task import MAX_PACK_SIZE, Costs

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
                _Load(times[kind][len(places) - 1], kind, len(places))
                for kind, each in ranges.items()
                for places in each
            ]
            candidate = (_makespan(_longest_first(loads), costs, slots), len(loads))
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
    return _makespan(_list_loads(packs, costs), costs, slots)


def compile_seconds(packs: Iterable[Pack], costs: Costs, slots: int) -> list[float]:
    """Seconds that each pack spends on compiling what this machine has not compiled before."""
    return [compiling for compiling, _ in _play_through(_list_loads(packs, costs), costs, slots)]


class _Load(NamedTuple):
    """A pack of so many cells of a kind, and the seconds that it takes besides compiling."""

    seconds: float
    kind: Cell
    size: int


def _list_loads(packs: Iterable[Pack], costs: Costs) -> list[_Load]:
    return [_Load(pack_seconds(pack, costs), pack[0].pack_key, len(pack)) for pack in packs]


def _longest_first(loads: Iterable[_Load]) -> list[_Load]:
    return sorted(loads, key=lambda load: -load.seconds)


def _makespan(loads: Iterable[_Load], costs: Costs, slots: int) -> float:
    return max((end for _, end in _play_through(loads, costs, slots)), default=0.0)


def _play_through(
    loads: Iterable[_Load], costs: Costs, slots: int
) -> Iterator[tuple[float, float]]:
    """The seconds of compiling and the end of each pack, if each starts as soon as a slot is free.

    A pack compiles its code unless the machine has it, from earlier or from a pack that was ready
    before this one starts.
    """
    free = [0.0] * slots
    ready: dict[tuple[Cell, int], float] = {}
    for seconds, kind, size in loads:
        start, compiling = free[0], 0.0
        cost = costs[kind]
        if cost.compile and size not in cost.compiled_sizes:
            if ready.get((kind, size), math.inf) > start:
                compiling = cost.compile
            ready.setdefault((kind, size), start + compiling)
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
