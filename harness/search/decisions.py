"""Which arms go on after a look: those with a comparison that the analysis calls open."""

from collections.abc import Sequence

from harness.experiment.cell import Cell
from harness.experiment.grid import Grid
from harness.search.search import Rows


def find_open_arms(grid: Grid, rows: Rows, look: int, arms: Sequence[Sequence[Cell]]) -> set[int]:
    """The numbers of the arms that need more seeds or studies after a look."""
    raise NotImplementedError
