"""What unlabelled images add at each label budget: semi-supervised less supervised, and the gains against each other.

A gain that is significant at one budget and not at another is no difference between the two: the gains are compared
with each other, seed by seed.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from analysis import compare
from analysis.frames import arm_table
from analysis.frames.metrics import ACCURACY, GAIN
from analysis.stats import trend_tests
from harness.experiment.grid import Compare
from harness.storage.schema import ARM

ALIKE = [column for column in ARM if column not in ("supervision", "labels")]
EACH = ["group", "labels", *trend_tests.TREND]
BETWEEN = ["group", "labels_a", "labels_b"]


def gains(rows: pd.DataFrame, how: Compare) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results table with `arm` -> the gain at each label budget, and the gains of every two budgets, a row each.

    Both have the columns of `compare.COLUMNS`; a group are arms that differ in supervision and labels alone. In the
    first a is semi-supervised, b supervised, the family are the budgets of the group, and `EACH` follows: the trend of
    the gain, as `ordered.trend` tells it. In the second a and b stand for the gains at labels_a and labels_b, a seed's
    gain being the difference of its two accuracies, and the family are the pairs of budgets.
    """
    arms = arm_table.facts(rows)
    measured = rows.assign(gain=of_seeds(rows))
    found = [(_each(measured, arms, group, how), _between(measured, arms, group, how)) for group in _groups(arms)]
    each, between = ([tables[side] for tables in found if len(tables[side])] for side in (0, 1))
    return _joined(each, EACH), _joined(between, BETWEEN)


def of_seeds(rows: pd.DataFrame) -> pd.Series:
    """Results table -> how far each semi-supervised cell is above the supervised one of its seed, fractions."""
    keys = [*ALIKE, "labels", "seed"]
    finished = rows[rows["status"] == "ok"]
    alone = finished[finished["supervision"] == "supervised"].set_index(keys)["accuracy"].rename("alone")
    gain = rows["accuracy"] - rows[keys].join(alone[~alone.index.duplicated()], on=keys)["alone"]
    return gain.where(rows["supervision"] == "semi-supervised").astype(float)


def _groups(arms: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Names of arms by label budget, in its order, a column a supervision, where both are there at several budgets."""
    labelled = arms[arms["supervision"] != "none"].rename_axis("name").reset_index()
    for _, group in labelled.groupby(ALIKE, sort=False):
        both = group.pivot(index="labels", columns="supervision", values="name").sort_index().dropna()
        if len(both.columns) == 2 and len(both) > 1:
            yield both


def _each(rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """The gain at each budget, and its trend."""
    pairs = list(group[["semi-supervised", "supervised"]].itertuples(index=False, name=None))
    table = compare.judged(rows, arms, pairs, how.model_copy(update={"metrics": [ACCURACY.column]}))
    if table.empty:
        return table
    values = compare.values(rows, arms, GAIN)[arms.index.get_indexer(pd.Index(group["semi-supervised"]))]
    kept = np.isfinite(values).any(axis=1)
    trend = trend_tests.trend(values[kept], group.index.to_numpy(dtype=float)[kept], GAIN, "the label budget")
    return table.assign(group=_name(arms, group), labels=_budgets(group, table["a"]), **trend)


def _between(rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """The gains of every two budgets, the larger budget first."""
    pairs = [(b, a) for a, b in combinations(group["semi-supervised"], 2)]
    table = compare.one_family(rows, arms, pairs, GAIN, how)
    budgets = {f"labels_{side}": _budgets(group, table[side]) for side in ("a", "b")}
    return table.assign(group=_name(arms, group), **budgets)


def _budgets(group: pd.DataFrame, names: pd.Series) -> pd.Series:
    """The label budget of each arm."""
    return names.map({name: labels for labels, name in group["semi-supervised"].items()})


def _name(arms: pd.DataFrame, group: pd.DataFrame) -> str:
    first = arms.loc[group["semi-supervised"].iloc[0]]
    return f"{first['model']}, {first['dataset']}"


def _joined(tables: list[pd.DataFrame], extra: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*compare.COLUMNS, *extra])
