"""The p-value that a pair of arms has in the grid's family, shown beside that of a smaller family.

A pair may be compared in the family that the grid declares and again among the β or the label
budgets of one model. The correction depends on the family, so the two p-values differ; each is
shown with its family.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from analysis.rendering import numbers
from analysis.stats import multiplicity

GRID_COLUMNS = ["p_grid", "correction_grid", "comparisons_grid"]


def add_grid_p(comparisons: pd.DataFrame, grid: pd.DataFrame) -> pd.DataFrame:
    """Comparisons of a smaller family and of the grid -> the former with `GRID_COLUMNS`.

    p_grid: the adjusted p of the same pair and metric among the comparisons_grid of the grid's
    family, whichever arm comes first; nan where that family does not hold the pair.
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
        _format_with_family(row, numbers.format_p_cell) or "–"
        for row in comparisons.to_dict("records")
    ]


def format_grid_p(row: Mapping[Any, Any]) -> str:
    """`p = 0.11 (Holm, 15)`; empty where the grid's family has no p of this pair."""
    return _format_with_family(row, numbers.format_p)


def _format_with_family(row: Mapping[Any, Any], format_p: Callable[[float], str]) -> str:
    if pd.isna(row.get("p_grid")):
        return ""
    correction = multiplicity.CORRECTION_NAMES[row["correction_grid"]]
    return f"{format_p(row['p_grid'])} ({correction}, {row['comparisons_grid']:.0f})"
