"""Seeds that were added after results were there: an adaptive stop, which fixed-n tests do not
allow for.

Testing after every seed from 3 to 10 finds a difference that is not there 15 times in 100, not 5.
The runs of all folders that are read together are asked together: where the seeds lie does not
matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

SEED_HISTORY_UNKNOWN = "whether seeds were added later is not known"


def mark_adaptive(rows: pd.DataFrame, provenance: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Results table with `arm` -> the same with `adaptive` and `unrecorded`.

    adaptive: whether a later run asked for more seeds of the row's arm. Later means that it began
    when the arm already had a finished cell of an earlier run. A run that was taken up again asks
    for the same seeds and is not adaptive, nor are those that ran at the same time. unrecorded: a
    finished row whose run has no record with seeds and a start.
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


def describe_unrecorded(rows: pd.DataFrame) -> Iterator[str]:
    """`mark_adaptive` -> a sentence where some arms hold rows of which nothing is known."""
    arms, unknown = rows["arm"].nunique(), rows.loc[rows["unrecorded"], "arm"].nunique()
    if unknown:
        yield (
            f"{SEED_HISTORY_UNKNOWN} for {unknown} of {arms} arms: the folder holds no record of "
            f"the runs "
            f"that wrote their rows"
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
