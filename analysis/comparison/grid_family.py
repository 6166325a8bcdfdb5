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

GRID = ["p_grid", "correction_grid", "comparisons_grid"]


def joined(found: pd.DataFrame, grid: pd.DataFrame) -> pd.DataFrame:
    """Comparisons of a smaller family and the grid's own -> the former with the columns `GRID`, nan
    where not in both.

    p_grid: the same pair's p on the same metric, whichever arm comes first, corrected in the grid's
    family of comparisons_grid.
    """
    keys = ["metric", "a", "b"]
    known = grid.rename(
        columns={"p_adjusted": GRID[0], "correction": GRID[1], "comparisons": GRID[2]}
    )[[*keys, *GRID]]
    both = pd.concat([known, known.rename(columns={"a": "b", "b": "a"})], ignore_index=True)
    return found.merge(both, on=keys, how="left")


def column(found: pd.DataFrame) -> list[str]:
    """`joined` -> the grid's p in a cell of a table: `0.11 (Holm, 15)`, or a dash."""
    return [
        said(row).removeprefix("p ").removeprefix("= ") or "–" for row in found.to_dict("records")
    ]


def said(row: Mapping[Any, Any]) -> str:
    """`p = 0.11 (Holm, 15)`; empty where the pair has no p in the grid's family, or that was not
    asked.
    """
    if pd.isna(row.get("p_grid")):
        return ""
    correction = multiplicity.CORRECTIONS[row["correction_grid"]]
    return f"{numbers.chance(row['p_grid'])} ({correction}, {row['comparisons_grid']:.0f})"
