"""Seeds that were added after results were there: an adaptive stop, which fixed-n tests do not allow for.

Testing after every seed from 3 to 10 finds a difference that is not there 15 times in 100, not 5.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def marked(rows: pd.DataFrame, provenance: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Results table with `arm` -> the same with `adaptive`: whether a later run asked for more seeds of the row's arm.

    Later means that it began when the arm already had a finished cell of an earlier run. A run that was taken up again
    asks for the same seeds and is not adaptive, nor are two that ran at the same time.
    """
    asked = {str(run["run"]): frozenset(_seeds(run)) for run in provenance if "run" in run}
    started = {str(run["run"]): str(run.get("started", "")) for run in provenance if "run" in run}
    finished = rows[(rows["status"] == "ok") & rows["run"].isin(list(asked))]
    runs = finished.groupby(["arm", "run"], sort=False)["finished"].min().reset_index()
    grown = {arm for arm, group in runs.groupby("arm") if _grew(group, asked, started)}
    return rows.assign(adaptive=rows["arm"].isin(list(grown)))


def _grew(runs: pd.DataFrame, asked: Mapping[str, frozenset[int]], started: Mapping[str, str]) -> bool:
    names = sorted(runs["run"], key=started.__getitem__)
    first = runs.loc[runs["run"] == names[0], "finished"].iloc[0]
    return any(started[name] > first and not asked[name] <= asked[names[0]] for name in names[1:])


def _seeds(run: Mapping[str, Any]) -> Sequence[int]:
    grid = run.get("grid")
    seeds = grid.get("seeds", ()) if isinstance(grid, Mapping) else ()
    return seeds if isinstance(seeds, (list, tuple)) else ()
