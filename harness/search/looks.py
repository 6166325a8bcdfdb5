"""Seeds, or studies, that come in at declared looks: an arm goes on while a comparison is open.

The analysis says which comparisons are settled at a look. It sees the rows up to that look and no
others, so the same rows give the same seeds to run, whenever the command is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.experiment.cell import Cell
from harness.search.search import Rows, has_ended


@dataclass(frozen=True)
class Unit:
    """What an arm is counted in: a seed or a study.

    cells: those that are known by now
    n_open: how many more may come, at most
    """

    cells: Sequence[Cell]
    n_open: int = 0

    def is_over(self, rows: Rows) -> bool:
        """Whether no more cells come and all have a row."""
        return not self.n_open and has_ended(self.cells, rows)


MakeUnit = Callable[[int], Unit]  # the unit of an arm by its number
# the numbers of the arms that go on after a look, given the cells of each arm up to it
FindRunning = Callable[[Sequence[Sequence[Cell]]], set[int]]


@dataclass(frozen=True)
class LookState:
    """How far comparisons in looks have come.

    units: those that are known, for each arm, in the order of their numbers
    running: the numbers of the arms that go on
    n_taken: the number of looks that have been taken
    n_open: how many more cells may come, at most
    """

    units: Sequence[Sequence[Unit]]
    running: frozenset[int]
    n_taken: int
    n_open: int

    @property
    def cells(self) -> list[Cell]:
        """The known cells of all arms."""
        return [cell for units in self.units for cell in _list_cells(units)]


def follow_looks(
    arms: Sequence[MakeUnit], looks: Sequence[int], rows: Rows, find_running: FindRunning
) -> LookState:
    """The units of all arms that the looks so far have made known.

    An arm that is settled gets no more units. A look is taken when every unit of the arms that were
    running has ended.
    """
    units: list[list[Unit]] = [[] for _ in arms]
    running, taken = set(range(len(arms))), 0
    for look in looks:
        for arm in sorted(running):
            units[arm] += [arms[arm](index) for index in range(len(units[arm]), look)]
        if not all(unit.is_over(rows) for arm in running for unit in units[arm]):
            break
        taken += 1
        is_last = taken == len(looks)
        running = (
            set() if is_last else find_running([_list_cells(each) for each in units]) & running
        )
        if not running:
            break
    n_open = sum(unit.n_open for each in units for unit in each) + sum(
        _count_cells(arms[arm](index))
        for arm in running
        for index in range(len(units[arm]), looks[-1])
    )
    return LookState(units, frozenset(running), taken, n_open)


def _count_cells(unit: Unit) -> int:
    return len(unit.cells) + unit.n_open


def _list_cells(units: Sequence[Unit]) -> list[Cell]:
    return [cell for unit in units for cell in unit.cells]
