"""Which arms go on after a look: those with a comparison that the analysis calls open."""

from collections.abc import Sequence

from harness.experiment.cell import Cell
from harness.experiment.grid import Grid
from harness.search.search import Rows
from harness.storage.rows import to_arrow


def find_open_arms(grid: Grid, rows: Rows, arms: Sequence[Sequence[Cell]]) -> set[int]:
    """The numbers of the arms that need more seeds or studies after a look.

    arms: the cells of each arm up to the look
    """
    from analysis.comparison.open_arms import find_open_cells
    from analysis.frames.declared import read_looks

    plan = read_looks(grid.model_dump())
    assert plan is not None
    compared = [cell for cells in arms for cell in cells if cell.stage != "search"]
    frame = to_arrow(rows[cell.id] for cell in compared).to_pandas()
    open_ids = find_open_cells(frame, grid.compare, plan)
    return {number for number, cells in enumerate(arms) if open_ids & {cell.id for cell in cells}}
