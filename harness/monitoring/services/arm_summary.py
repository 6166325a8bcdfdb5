"""What services show of rows: the scores of a cell, and the mean of an arm with its SE and n."""

import math
from collections.abc import Iterable, Mapping
from statistics import mean, stdev
from typing import Any

from harness.experiment.grid import name_cells
from harness.storage.schema import Row, cell_of

SETTINGS = frozenset({"beta", "learning_rate"})  # numbers of a row that are no scores


def list_scores(row: Mapping[str, Any]) -> dict[str, float]:
    """The scores and times of a row, by column, in the units of the results table."""
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, float) and math.isfinite(value) and name not in SETTINGS
    }


def name_arm(cell_name: str) -> str:
    """The name of an arm from that of one of its cells.

    >>> name_arm("vae β=4 seed=3")
    'vae β=4'
    """
    return cell_name.rpartition(" seed=")[0]


def summarize_arms(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """For each arm the number `n` of finished cells and of each score `_mean` and `_se`.

    The standard error is SD / √n over the seeds that have the score; none below two of them.
    """
    finished = [row for row in rows if row["status"] == "ok"]
    cells = [cell_of(row) for row in finished]
    names = name_cells(cells)
    arms: dict[str, list[Mapping[str, float]]] = {}
    for cell, row in zip(cells, finished, strict=True):
        arms.setdefault(name_arm(names[cell]), []).append(list_scores(row))
    return {arm: _summarize(scores) for arm, scores in arms.items()}


def _summarize(cells: list[Mapping[str, float]]) -> dict[str, float]:
    summary: dict[str, float] = {"n": len(cells)}
    for name in sorted(set().union(*cells)):
        values = [scores[name] for scores in cells if name in scores]
        summary[f"{name}_mean"] = mean(values)
        if len(values) > 1:
            summary[f"{name}_se"] = stdev(values) / math.sqrt(len(values))
    return summary


def describe_columns(described: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that describe a cell and are set, as a service shows them."""
    return {name: value for name, value in described.items() if value not in ("", "{}", None)}
