"""The plan: a grid's cells less those that are done, grouped into packs, with the time they should take."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from harness import engine, tensorfile
from harness.data import Data
from harness.errors import BadInput
from harness.evaluation import Evaluation
from harness.grid import Cell
from harness.schema import Row
from harness.store import Store
from harness.trial import checkpoint_key, weights_key

Resume = Literal["missing", "failed", "always", "never"]
RESUME: tuple[Resume, ...] = get_args(Resume)
TIMED_STEPS = 3


@dataclass(frozen=True)
class Plan:
    """What is asked, what is done, and the packs that are left."""

    cells: tuple[Cell, ...]
    packs: tuple[tuple[Cell, ...], ...]
    rows: Mapping[str, Row]

    @property
    def todo(self) -> tuple[Cell, ...]:
        """The cells of the packs."""
        return tuple(cell for pack in self.packs for cell in pack)

    @property
    def steps(self) -> int:
        """Optimiser steps of all cells that are left."""
        return sum(cell.iterations for cell in self.todo)


def make(cells: Sequence[Cell], rows: Mapping[str, Row], evaluation: Evaluation, resume: Resume, size: int) -> Plan:
    """Subtract what is done and pack the rest, at most `size` cells a pack, in the order of the grid."""
    if size < 1:
        raise BadInput(f"pack {size}: expected at least 1 cell")
    wanted = [cell for cell in cells if _wanted(cell, rows.get(cell.id), evaluation, resume)]
    alike: dict[Cell, list[Cell]] = {}
    for cell in wanted:
        alike.setdefault(engine.key(cell), []).append(cell)
    packs = [tuple(group[i : i + size]) for group in alike.values() for i in range(0, len(group), size)]
    return Plan(tuple(cells), tuple(packs), rows)


def _wanted(cell: Cell, row: Row | None, evaluation: Evaluation, resume: Resume) -> bool:
    if resume == "never":
        return True
    if row is None:
        return resume in ("missing", "always")
    if row["status"] != "ok":
        return resume in ("failed", "always")
    return resume != "failed" and not scored(cell, row, evaluation)


def scored(cell: Cell, row: Row, evaluation: Evaluation) -> bool:
    """Whether a finished row has every score that is asked for."""
    of_this_list = (
        not evaluation.covers(cell) or not cell.has_bound or row["subset_checksum"] == evaluation.subset_checksum
    )
    return of_this_list and evaluation.asked(cell) <= set((row["evaluated"] or "").split(","))


def forget(store: Store, cells: Sequence[Cell]) -> None:
    """Remove what a cell could be continued from, so that it is trained from the start; rows stay until replaced."""
    for cell in cells:
        store.remove(checkpoint_key(cell))
        store.remove(weights_key(cell))


def check_files(store: Store, cells: Sequence[Cell]) -> None:
    """Refuse a damaged checkpoint or weights file before anything starts."""
    for key in (key(cell) for cell in cells for key in (checkpoint_key, weights_key)):
        content = store.read(key)
        if content is not None:
            try:
                tensorfile.parse(content)
            except ValueError as error:
                raise BadInput(f"{store.path(key)} is {error}; delete it to train its cell from the start") from None


def step_seconds(plan: Plan, data: Mapping[str, Data], listed: Sequence[int], threads: int) -> dict[Cell, float]:
    """Seconds a step and cell, by `engine.key`, measured here on a few steps of each kind of pack that is left."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    costs: dict[Cell, float] = {}
    for pack in plan.packs:
        if engine.key(pack[0]) not in costs:
            costs[engine.key(pack[0])] = _timed(pack, data[pack[0].dataset], listed) / len(pack)
    torch.set_num_threads(threads_before)
    return costs


def _timed(cells: Sequence[Cell], data: Data, listed: Sequence[int]) -> float:
    """The fastest of a few steps of a pack, seconds."""
    pack = engine.Pack(cells, data, listed)
    times = []
    for _ in range(TIMED_STEPS):
        started = time.perf_counter()
        pack.one_step()
        times.append(time.perf_counter() - started)
    return min(times)
