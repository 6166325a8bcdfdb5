"""What services show of rows: the scores of a cell, and the mean of an arm with its SE and n."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from harness.plugins.tracker import TrackedRun
from harness.storage.schema import Row, cell_of

SETTINGS = frozenset({"beta", "learning_rate"})  # numbers of a row that are no scores


@dataclass(frozen=True)
class ArmSummary:
    """An arm: its id, its name, the number `n` of finished cells, and each score's mean and SE.

    The keys of a score are its column with `_mean` and with `_se`.
    """

    id: str
    name: str
    values: Mapping[str, float]


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


def summarize_arms(run: TrackedRun, rows: Iterable[Row]) -> list[ArmSummary]:
    """The arms that a run has cells of, over all their finished rows.

    The standard error is SD / √n over the seeds that have the score; none below two of them.
    """
    names = {_find_arm(described): name_arm(described["name"]) for described in run.cells.values()}
    arms: dict[str, list[Mapping[str, float]]] = {arm: [] for arm in names}
    for row in rows:
        if row["status"] == "ok" and (arm := _find_arm(row)) in arms:
            arms[arm].append(list_scores(row))
    return [
        ArmSummary(arm, names[arm], _summarize(scores)) for arm, scores in arms.items() if scores
    ]


def _find_arm(described: Mapping[str, Any]) -> str:
    """The id of the arm of a row, or of the columns that describe a cell: its cell of seed 0."""
    return replace(cell_of(dict(described)), seed=0).id


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
