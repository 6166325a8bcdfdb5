"""Packs contain every cell once, are not too large, and end as early as the tested splits allow."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiment.cell import Cell
from harness.scheduling import packing
from harness.scheduling.packing import (
    MAX_TIME_LIMITS,
    START_SECONDS,
    Pack,
    balanced_packs,
    compile_seconds,
    fixed_packs,
    group_by_pack_key,
    longest_first,
    makespan,
    pack_seconds,
)
from harness.training.task import MAX_PACK_SIZE, Cost, Costs

VAE = Cell("vae", 0, 1000, settings=(("z", 10),))
Work = tuple[list[Cell], dict[Cell, Cost], int]

COSTS = st.builds(
    Cost,
    fixed=st.sampled_from([0.0, 0.0005, 0.002, 0.01, 0.3]) | st.floats(0, 1, allow_subnormal=False),
    per_cell=st.sampled_from([0.0, 0.0005, 0.005, 0.04]) | st.floats(0, 1, allow_subnormal=False),
)
COMPILED_COSTS = st.builds(
    replace,
    COSTS,
    load=st.sampled_from([0.0, 1.5]),
    compile=st.sampled_from([0.0, 30.0]),
    compiled_sizes=st.frozensets(st.integers(1, 9)),
)
CELLS = st.lists(
    st.builds(
        Cell,
        model=st.sampled_from(["vae", "gmvae"]),
        seed=st.integers(0, 20),
        iterations=st.sampled_from([10, 2000]),
        settings=st.sampled_from([(("z", 2),), (("z", 3),)]),
        beta=st.sampled_from([1.0, 4.0]),
        dataset=st.sampled_from(["mnist", "kmnist"]),
        batch_size=st.sampled_from([50, 97]),
        learning_rate=st.sampled_from([1e-3, 1e-2]),
    ),
    unique=True,
    max_size=40,
)


@st.composite
def work(draw: st.DrawFn) -> Work:
    """Cells, what a step of each kind costs, and slots."""
    cells = draw(CELLS)
    return (
        cells,
        {kind: draw(COSTS | COMPILED_COSTS) for kind in group_by_pack_key(cells)},
        draw(st.integers(1, 6)),
    )


def alike(count: int, cost: Cost, like: Cell = VAE) -> tuple[list[Cell], Costs]:
    """Seeds of one kind and its cost."""
    return [replace(like, seed=seed) for seed in range(count)], {like.pack_key: cost}


def sizes(packs: Sequence[Pack]) -> list[int]:
    return [len(pack) for pack in packs]


def partition(cells: list[Cell], packs: Sequence[Pack]) -> None:
    """Check that every cell is in one pack, with its kind, in the order of the grid."""
    assert sorted((cell for pack in packs for cell in pack), key=cells.index) == cells
    for pack in packs:
        assert len({replace(cell, seed=0, beta=1.0, learning_rate=1.0) for cell in pack}) == 1
        assert sorted(pack, key=cells.index) == list(pack)


def sizes_by_kind(packs: Sequence[Pack]) -> dict[Cell, list[int]]:
    found: dict[Cell, list[int]] = {}
    for pack in packs:
        found.setdefault(pack[0].pack_key, []).append(len(pack))
    return found


# --- which cells are together ---------------------------------------------------------------------


@settings(deadline=None)
@given(CELLS, st.integers(1, 9))
def test_packs_of_a_size_hold_every_cell_once_alike_and_as_full_as_can_be(
    cells: list[Cell], size: int
) -> None:
    packs = fixed_packs(cells, size)
    partition(cells, packs)
    for found in sizes_by_kind(packs).values():
        assert found == [size] * (len(found) - 1) + found[-1:]
        assert 1 <= found[-1] <= size


@settings(deadline=None)
@given(work())
def test_balanced_packs_hold_every_cell_once_alike_and_evenly_or_full(given: Work) -> None:
    cells, costs, slots = given
    packs = balanced_packs(cells, costs, slots)
    partition(cells, packs)
    for kind, found in sizes_by_kind(packs).items():
        full = sorted(found, reverse=True)[:-1]
        assert max(found) - min(found) <= 1 or set(full) == {max(found)}
        assert max(found) <= costs[kind].saturation_size(MAX_PACK_SIZE)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gmvae"},
        {"iterations": 9},
        {"settings": (("z", 2),)},
        {"dataset": "kmnist"},
        {"batch_size": 9},
        {"supervision": "supervised"},
        {"labels": 50},
        {"label_draw": "draw-1"},
    ],
)
def test_cells_that_differ_in_more_than_scalars_are_apart(change: dict[str, object]) -> None:
    other = replace(VAE, **change)  # type: ignore[arg-type]
    assert fixed_packs([VAE, other], 8) == [(VAE,), (other,)]


def test_cells_that_differ_in_seed_beta_and_learning_rate_are_together() -> None:
    other = replace(VAE, seed=1, beta=4.0, learning_rate=1e-2)
    assert fixed_packs([VAE, other], 8) == [(VAE, other)]


# --- time -----------------------------------------------------------------------------------------


def test_a_pack_takes_its_start_and_its_steps() -> None:
    cells, costs = alike(3, Cost(fixed=0.002, per_cell=0.005))
    assert pack_seconds(tuple(cells), costs) == pytest.approx(
        START_SECONDS + 1000 * (0.002 + 3 * 0.005)
    )


@settings(deadline=None)
@given(work(), st.integers(1, 9))
def test_the_longest_pack_is_the_first(given: Work, size: int) -> None:
    cells, costs, _ = given
    packs = fixed_packs(cells, size)
    ordered = longest_first(packs, costs)
    times = [pack_seconds(pack, costs) for pack in ordered]
    assert times == sorted(times, reverse=True)
    assert sorted(ordered, key=packs.index) == packs


def played_through(packs: Sequence[Pack], costs: Costs, slots: int) -> tuple[float, list[float]]:
    """Simulate a list schedule: whenever a pack ends, the next one starts, and compiles its code
    unless the machine has it by then. The end of the last pack, and the compiling of each.
    """
    waiting, running, now, compiling = list(packs), list[float](), 0.0, list[float]()
    ready: list[tuple[tuple[Cell, int], float]] = []
    while waiting or running:
        while waiting and len(running) < slots:
            pack = waiting.pop(0)
            kind, size = code = pack[0].pack_key, len(pack)
            is_here = size in costs[kind].compiled_sizes or any(
                code == other and time <= now for other, time in ready
            )
            compiling.append(0.0 if is_here else costs[kind].compile)
            ready.append((code, now + compiling[-1]))
            running.append(now + compiling[-1] + pack_seconds(pack, costs))
        now = min(running)
        running.remove(now)
    return now, compiling


@settings(deadline=None)
@given(work(), st.integers(1, 9))
def test_the_makespan_is_that_of_a_schedule_played_through(given: Work, size: int) -> None:
    cells, costs, slots = given
    packs = fixed_packs(cells, size)
    found, compiling = makespan(packs, costs, slots), compile_seconds(packs, costs, slots)
    assert (found, compiling) == played_through(packs, costs, slots)
    times = [pack_seconds(pack, costs) + more for pack, more in zip(packs, compiling, strict=True)]
    longest, mean = max(times, default=0.0), sum(times) / slots
    assert max(longest, mean) <= found * (1 + 1e-9)
    assert found <= (mean + (1 - 1 / slots) * longest) * (1 + 1e-9)  # Graham 1969


# --- the balance ----------------------------------------------------------------------------------


def evenly_split(cells: list[Cell], costs: Costs, limit: float) -> list[Pack]:
    """Even packs of the largest unsaturated size that take at most the limit."""
    packs: list[Pack] = []
    for kind, group in group_by_pack_key(cells).items():
        most = costs[kind].saturation_size(min(MAX_PACK_SIZE, len(group)))
        fit = [
            size for size in range(1, most + 1) if pack_seconds(tuple(group[:size]), costs) <= limit
        ]
        count = -(-len(group) // max(fit, default=1))
        packs += [
            tuple(group[index] for index in part)
            for part in np.array_split(np.arange(len(group)), count)
        ]
    return packs


@settings(deadline=None)
@given(work())
def test_no_even_split_at_a_common_limit_ends_sooner(given: Work) -> None:
    """No such split ends as early with fewer packs either."""
    cells, costs, slots = given
    packs = balanced_packs(cells, costs, slots)
    best = (makespan(packs, costs, slots), len(packs))
    for group in group_by_pack_key(cells).values():
        for size in range(1, min(MAX_PACK_SIZE, len(group)) + 1):
            split = evenly_split(cells, costs, pack_seconds(tuple(group[:size]), costs))
            assert best <= (makespan(longest_first(split, costs), costs, slots), len(split))


@settings(deadline=None)
@given(work())
def test_packs_of_one_cell_never_end_sooner(given: Work) -> None:
    cells, costs, slots = given
    alone = longest_first(fixed_packs(cells, 1), costs)
    assert makespan(balanced_packs(cells, costs, slots), costs, slots) <= makespan(
        alone, costs, slots
    )


@settings(deadline=None)
@given(COSTS, st.integers(1, 8), st.integers(1, 8), st.integers(1, 6))
def test_equal_packs_of_one_kind_never_end_sooner_up_to_saturation(
    cost: Cost, size: int, count: int, slots: int
) -> None:
    """A split with a remainder can: nine cells as 4, 4, 1 on two slots."""
    size = min(size, cost.saturation_size(size))
    cells, costs = alike(size * count, cost)
    equal = fixed_packs(cells, size)
    assert makespan(balanced_packs(cells, costs, slots), costs, slots) <= makespan(
        equal, costs, slots
    )


@settings(deadline=None)
@given(work())
def test_balanced_packs_come_longest_first(given: Work) -> None:
    cells, costs, slots = given
    times = [pack_seconds(pack, costs) for pack in balanced_packs(cells, costs, slots)]
    assert times == sorted(times, reverse=True)


def test_eight_cells_that_share_much_are_a_pack_for_each_of_two_slots() -> None:
    cells, costs = alike(8, Cost(fixed=0.002, per_cell=0.005))
    packs = balanced_packs(cells, costs, 2)
    assert packs == [tuple(cells[:4]), tuple(cells[4:])]
    assert makespan(packs, costs, 2) == pytest.approx(START_SECONDS + 1000 * 0.022)


def test_a_size_that_is_compiled_is_kept_where_another_would_have_to_be() -> None:
    """Nine cells are 4, 4 and 1 where all is compiled, and 3, 3 and 3 where only this size is."""
    cells, costs = alike(9, Cost(fixed=0.002, per_cell=0.005, compile=20.0))
    for known, expected in ((range(10), [4, 4, 1]), ([3], [3, 3, 3])):
        cost = replace(costs[VAE.pack_key], compiled_sizes=frozenset(known))
        assert sizes(balanced_packs(cells, {VAE.pack_key: cost}, 2)) == expected


def test_only_packs_that_start_before_the_code_is_ready_compile_it() -> None:
    """Of two slots both compile; the packs that follow load the code."""
    cells, costs = alike(8, Cost(fixed=0.0, per_cell=0.04, load=1.0, compile=20.0))
    packs = fixed_packs(cells, 1)
    assert compile_seconds(packs, costs, 2) == [20.0] * 2 + [0.0] * 6
    assert makespan(packs, costs, 2) == pytest.approx(20.0 + 4 * (START_SECONDS + 1.0 + 40.0))


def test_cells_that_share_nothing_are_alone() -> None:
    """A pack of two would take as long as two packs, and lose both cells if it died."""
    cells, costs = alike(3, Cost(fixed=0.0, per_cell=0.04))
    assert balanced_packs(cells, costs, 2) == [(cell,) for cell in cells]


def test_a_pack_is_smaller_than_saturated_where_a_slot_would_stand_idle() -> None:
    cells, costs = alike(4, Cost(fixed=0.01, per_cell=0.005))
    assert costs[VAE.pack_key].saturation_size(4) == 4
    assert sizes(balanced_packs(cells, costs, 1)) == [4]
    assert sizes(balanced_packs(cells, costs, 2)) == [2, 2]
    assert sizes(balanced_packs(cells, costs, 4)) == [1, 1, 1, 1]


def test_a_short_kind_is_no_finer_than_a_long_one_needs() -> None:
    """The long cell takes 40 s; the four short ones fit into one pack of 12.5 s."""
    long = replace(VAE, model="ssvae")
    cells, costs = alike(4, Cost(fixed=0.004, per_cell=0.002))
    packs = balanced_packs([*cells, long], {**costs, long.pack_key: Cost(0.0, 0.04)}, 2)
    assert packs == [(long,), tuple(cells)]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of packs of every compared split."""
    found: list[int] = []
    original = packing._makespan

    def told(loads: Sequence[packing._Load], slots: int) -> float:
        found.append(len(loads))
        return original(loads, slots)

    monkeypatch.setattr(packing, "_makespan", told)
    return found


def test_ten_thousand_cells_of_nothing_are_large_packs_after_few_comparisons(
    compared: list[int],
) -> None:
    cells, costs = alike(10_000, Cost(fixed=0.001, per_cell=1e-9))
    packs = balanced_packs(cells, costs, 2)
    assert len(packs) == 157
    assert max(sizes(packs)) == MAX_PACK_SIZE
    assert len(compared) <= 2 * (MAX_TIME_LIMITS + 1)


def test_a_rest_is_left_over_where_that_ends_sooner() -> None:
    """Nine cells on two slots end earlier as 4, 4 and 1 than as 3, 3 and 3."""
    cells, costs = alike(9, Cost(fixed=0.002, per_cell=0.005))
    packs = balanced_packs(cells, costs, 2)
    assert sizes(packs) == [4, 4, 1]
    assert makespan(packs, costs, 2) < makespan(
        [tuple(cells[i : i + 3]) for i in (0, 3, 6)], costs, 2
    )


def test_two_hundred_kinds_are_packed_after_few_comparisons(compared: list[int]) -> None:
    kinds = [
        replace(VAE, settings=(("z", z),), seed=seed) for z in range(1, 201) for seed in range(10)
    ]
    costs = {cell.pack_key: Cost(0.001 * int(cell.settings[0][1]), 0.005) for cell in kinds}
    assert len([cell for pack in balanced_packs(kinds, costs, 8) for cell in pack]) == 2000
    assert len(compared) <= 2 * (MAX_TIME_LIMITS + 1)
    assert max(compared) <= 2000


@pytest.mark.parametrize(
    "packed",
    [lambda: fixed_packs([], 4), lambda: balanced_packs([], {}, 2), lambda: longest_first([], {})],
)
def test_no_cells_are_no_packs(packed: Callable[[], list[Pack]]) -> None:
    assert packed() == []
    assert makespan(packed(), {}, 2) == 0
