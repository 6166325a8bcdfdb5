"""Detect seeds that were added after results were known, which invalidates fixed-n tests.

Testing after every seed from 3 to 10 finds a difference that does not exist in 15 of 100 cases
instead of 5. Runs of all folders that are read together count, wherever their seeds are stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

SEED_HISTORY_UNKNOWN = "whether seeds were added later is not known"


def mark_adaptive(rows: pd.DataFrame, provenance: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Results table with `arm` -> the same with `adaptive` and `unrecorded`.

    adaptive: whether a later run requested more seeds of the row's arm. A run is later if it began
    when the arm already had a finished cell of an earlier run. A resumed run requests the same
    seeds and is not adaptive; nor are runs at the same time. unrecorded: a finished row whose run
    has no record with seeds and a start time.
    """
    runs = {
        str(run["run"]): run
        for run in provenance
        if run.get("run") and run.get("started") and _requested_seeds(run)
    }
    requested = {name: _requested_seeds(run) for name, run in runs.items()}
    started = {name: str(run["started"]) for name, run in runs.items()}
    finished, known = (
        rows["status"] == "ok",
        rows["run"].isin(list(runs)) & rows["finished"].notna(),
    )
    first = (
        rows[finished & known].groupby(["arm", "run"], sort=False)["finished"].min().reset_index()
    )
    adaptive_arms = {
        arm for arm, group in first.groupby("arm") if _has_added_seeds(group, requested, started)
    }
    return rows.assign(adaptive=rows["arm"].isin(list(adaptive_arms)), unrecorded=finished & ~known)


def mark_looks(rows: pd.DataFrame, provenance: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """`mark_adaptive` -> the same with rows of grids with declared looks adaptive too.

    Such a grid stops seeds by its own verdicts: any other comparison of them is one of arms that
    grew while they were looked at.
    """
    grids = {str(run.get("run")): run.get("grid") for run in provenance}
    with_looks = [
        name for name, grid in grids.items() if isinstance(grid, Mapping) and grid.get("looks")
    ]
    return rows.assign(adaptive=rows["adaptive"] | rows["run"].isin(with_looks))


def describe_unrecorded(rows: pd.DataFrame) -> Iterator[str]:
    """`mark_adaptive` -> a sentence if some arms have rows without a record of their run."""
    arms, unknown = rows["arm"].nunique(), rows.loc[rows["unrecorded"], "arm"].nunique()
    if unknown:
        yield (
            f"{SEED_HISTORY_UNKNOWN} for {unknown} of {arms} arms: the folder holds no record of "
            f"the runs that wrote their rows"
        )


def _has_added_seeds(
    runs: pd.DataFrame, requested: Mapping[str, frozenset[int]], started: Mapping[str, str]
) -> bool:
    names = list(runs["run"])
    first = max(runs["finished"].min(), min(started[name] for name in names))
    earlier_seeds: frozenset[int] = frozenset().union(
        *(requested[name] for name in names if started[name] <= first)
    )
    return any(started[name] > first and not requested[name] <= earlier_seeds for name in names)


def _requested_seeds(run: Mapping[str, Any]) -> frozenset[int]:
    grid = run.get("grid")
    seeds = grid.get("seeds", ()) if isinstance(grid, Mapping) else ()
    return (
        frozenset(seed for seed in seeds if isinstance(seed, int))
        if isinstance(seeds, (list, tuple))
        else frozenset()
    )
