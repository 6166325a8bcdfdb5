"""What a handful of runs says about their mean: n, SD, SE and the 95 % t-interval.

The interval is the mean ± t(0.975, n - 1) · SE, that of `scipy.stats.ttest_1samp(x, 0).confidence_interval()`; SD has
n - 1 in its denominator. At n = 1 there is no SD, no SE and no interval: they are nan, never zero.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from harness.experiment.grid import Supervision
from harness.storage.schema import ARM, Status

LEVEL = 0.95
Spread = Literal["SD", "SE"]
Number = float | Decimal


def estimates(frame: pd.DataFrame, by: list[str], column: str) -> pd.DataFrame:
    """One row a group of `by`: n, mean, sd, se, low, high of `column`; n counts the values that are not missing.

    >>> runs = pd.DataFrame({"arm": "a", "nelbo": [1, 2, 3, 4, 5]})
    >>> print(estimates(runs, ["arm"], "nelbo").round(3).to_string(index=False))
    arm  n  mean    sd    se   low  high
      a  5   3.0 1.581 0.707 1.037 4.963
    """
    groups = frame.groupby(by, sort=False, dropna=False)[column]
    table = groups.agg(n="count", mean="mean", sd="std").reset_index()
    several = table["n"].where(table["n"] > 1)
    table["se"] = table["sd"] / np.sqrt(several)
    half = stdtrit(several - 1, (1 + LEVEL) / 2) * table["se"]
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)


def arms(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Results table -> one row an arm and column: `counts`, then metric, n, mean, sd, se, low, high, missing.

    `missing` are the finished cells that hold no value in the column; failed and diverged cells are counted beside, and
    none of them is in n. Values keep the unit of the results table.
    """
    finished = frame.assign(arm=_arm(frame))[frame["status"] == "ok"]
    long = finished.melt(id_vars="arm", value_vars=list(columns), var_name="metric")
    every = counts(frame).reset_index().merge(pd.DataFrame({"metric": list(columns)}, dtype=str), how="cross")
    table = every.merge(estimates(long, ["arm", "metric"], "value"), on=["arm", "metric"], how="left")
    n = table["n"].fillna(0).astype(int)
    return table.assign(n=n, missing=table["ok"] - n).drop(columns="arm")


def counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Results table -> one row an arm: `ARM`, full_length, parameters, and how many cells there are of each status.

    The index numbers the arms as the table meets them; the rows go from the smallest model to the largest.
    """
    statuses = {status: (frame["status"] == status).astype(int) for status in get_args(Status)}
    groups = frame.assign(**statuses, arm=_arm(frame)).groupby("arm")
    first = groups[[*ARM, "full_length", "parameters"]].first()
    who = first.join(groups.agg(cells=("cell", "size"), **{status: (status, "sum") for status in statuses}))
    by = ["dataset", "size", "model", "supervision", "labels", "beta", "settings", "iterations", "learning_rate"]
    sized = who.assign(size=who.groupby("model")["parameters"].transform("min"))
    return sized.sort_values(by, kind="stable", na_position="last", key=_rank).drop(columns="size")


def _arm(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby(list(ARM), sort=False, dropna=False).ngroup()


def _rank(column: pd.Series) -> pd.Series:
    order = get_args(Supervision)
    return column.map(order.index) if column.name == "supervision" else column


def written(mean: Number, spread: Number | None, kind: Spread, n: int | None, digits: int = 2) -> str:
    """A mean with its ±, always with the kind of ± and n; a Decimal keeps the decimals it was printed with.

    >>> written(101.312, 0.0795, "SE", 10)
    '101.31 ± 0.08 (SE, n = 10)'
    >>> written(101.312, float("nan"), "SE", 1)
    '101.31 (n = 1, no ±)'
    >>> written(Decimal("101.5"), Decimal("0.55"), "SD", 100)
    '101.5 ± 0.55 (SD, n = 100)'
    """
    if math.isnan(mean):
        return "–"
    runs = "n not stated" if n is None else f"n = {n}"
    if spread is None or math.isnan(spread):
        return f"{_digits(mean, digits)} ({runs}, no ±)"
    return f"{_digits(mean, digits)} ± {_digits(spread, digits)} ({kind}, {runs})"


def _digits(value: Number, digits: int) -> str:
    return str(value) if isinstance(value, Decimal) else f"{value:.{digits}f}"
