"""One pair in two families: its p in the grid's own family, told where the pair stands in a smaller
one.

A pair of arms may be compared in the family that the grid names and again among the β of one model
or the budgets of labels. The correction is of the family, so the two p differ, and both are shown
with the family that they are of.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.rendering import numbers
from analysis.stats import multiplicity

GRID_COLUMNS = ["p_grid", "correction_grid", "comparisons_grid"]


def add_grid_p(comparisons: pd.DataFrame, grid: pd.DataFrame) -> pd.DataFrame:
    """Comparisons of a smaller family and the grid's own -> the former with the columns
    `GRID_COLUMNS`, nan where not in both.

    p_grid: the same pair's p on the same metric, whichever arm comes first, corrected in the grid's
    family of comparisons_grid.
    """
    keys = ["metric", "a", "b"]
    known = grid.rename(
        columns={
            "p_adjusted": GRID_COLUMNS[0],
            "correction": GRID_COLUMNS[1],
            "comparisons": GRID_COLUMNS[2],
        }
    )[[*keys, *GRID_COLUMNS]]
    both = pd.concat([known, known.rename(columns={"a": "b", "b": "a"})], ignore_index=True)
    return comparisons.merge(both, on=keys, how="left")


def format_grid_p_cells(comparisons: pd.DataFrame) -> list[str]:
    """`add_grid_p` -> the grid's p in a cell of a table: `0.11 (Holm, 15)`, or a dash."""
    return [
        format_grid_p(row).removeprefix("p ").removeprefix("= ") or "–"
        for row in comparisons.to_dict("records")
    ]


def format_grid_p(row: Mapping[Any, Any]) -> str:
    """`p = 0.11 (Holm, 15)`; empty where the pair has no p in the grid's family, or that was not
    asked.
    """
    if pd.isna(row.get("p_grid")):
        return ""
    correction = multiplicity.CORRECTION_NAMES[row["correction_grid"]]
    return f"{numbers.format_p(row['p_grid'])} ({correction}, {row['comparisons_grid']:.0f})"
