"""Hyperparameter searches in a results table: trials, winners, and studies as the unit.

A row of stage "search" is a trial, scored on validation images alone. A row of stage "final" is a
training of the winner of a study. A configuration is what a search was made of: the columns of an
arm without the searched values.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames.arm_names import arm_names
from harness.storage.schema import ARM_COLUMNS, PAIR_COLUMNS

NUMBERS = {"learning_rate": 0.0, "batch_size": 0, "beta": 1.0}  # in place of a searched value
STUDY_COLUMNS = ("study", "trial", "rung", "split")


def split_trials(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results table -> the rows that are cells of arms, and the trials of searches."""
    is_trial = rows["stage"] == "search"
    if not is_trial.any():
        return rows, rows.head(0)  # no copy of a million rows
    return rows[~is_trial], rows[is_trial]


def parse_spec(text: object) -> dict[str, Any]:
    """The column `search_spec` of a row; empty where there is none."""
    return json.loads(text) if isinstance(text, str) and text else {}


def blank_searched(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of searches -> their configuration: `ARM_COLUMNS` without searched values.

    A searched number has one value for all, and a searched setting is left out.
    """
    columns = rows[list(ARM_COLUMNS)].copy()
    axes = rows["search_spec"].map(lambda text: frozenset(parse_spec(text).get("axes", ())))
    for name, blank in NUMBERS.items():
        columns[name] = columns[name].mask(axes.map(lambda found, n=name: n in found), blank)
    for column in PAIR_COLUMNS:
        pairs = zip(columns[column], axes, strict=True)
        columns[column] = [_drop_pairs(text, column, found) for text, found in pairs]
    return columns.assign(**dict.fromkeys(STUDY_COLUMNS, 0), stage="final")


def _drop_pairs(text: str, column: str, axes: frozenset[str]) -> str:
    kept = {k: v for k, v in json.loads(text).items() if f"{column}.{k}" not in axes}
    return json.dumps(kept, sort_keys=True)


def name_configurations(rows: pd.DataFrame) -> pd.Series:
    """Rows of searches -> the name of the configuration of each: `vae tuned (8 trials)`."""
    if rows.empty:
        return pd.Series([], rows.index, dtype=str)
    keys = list(ARM_COLUMNS)
    blanked = blank_searched(rows)
    others = [key for key in keys if key != "iterations"]
    full = blanked.groupby(others)["iterations"].transform("max")
    is_halving = rows["search_spec"].map(lambda text: parse_spec(text).get("method") == "halving")
    blanked["iterations"] = blanked["iterations"].mask(is_halving, full)
    distinct = blanked.drop_duplicates()
    names = distinct.assign(arm=arm_names(distinct.assign(stage="")))
    trials = rows["search_spec"].map(lambda text: parse_spec(text).get("trials", 0))
    most = trials.groupby([blanked[key] for key in keys]).transform("max")
    found = blanked.merge(names, on=keys, how="left")["arm"].set_axis(rows.index)
    return found + most.map(lambda count: f" tuned ({count:,} trials)")


def name_winners(finals: pd.DataFrame) -> pd.Series:
    """Trainings with `configuration` -> the names of their arms, `vae winner of study 0`.

    Where a study has had several winners, the name has the trial.
    """
    models = finals["configuration"].str.replace(r" tuned \([\d,]+ trials\)$", "", regex=True)
    names = models + " winner of study " + finals["study"].astype(str)
    several = finals.groupby(["configuration", "study"])["trial"].transform("nunique") > 1
    return names.mask(several, names + " trial " + finals["trial"].astype(str))


def find_winners(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with `arm`, that of their configuration -> the best row of each arm and study.

    The best has the lowest metric of the search, or the highest accuracy, among the finished trials
    of full length; ties go to the lower trial.
    """
    spec = trials["search_spec"].map(parse_spec)
    metric = spec.map(lambda each: each.get("metric", ""))
    values = pd.Series(np.nan, trials.index)
    for name, sign in (("validation_nelbo", 1.0), ("validation_accuracy", -1.0)):
        values = values.mask(metric == name, sign * trials[name].astype(float))
    full = trials.groupby("arm")["iterations"].transform("max")
    usable = (trials["status"] == "ok") & (trials["iterations"] == full) & np.isfinite(values)
    ranked = trials.assign(value=values)[usable].sort_values(["value", "trial"], kind="stable")
    return ranked.drop_duplicates(["arm", "study"]).drop(columns="value").sort_index()


def find_stale(finals: pd.DataFrame, trials: pd.DataFrame) -> "pd.Series[bool]":
    """Which trainings are of a trial that is no longer its study's winner, as more trials came.

    finals, trials: with `configuration`, the names of `name_configurations`. Where a study has no
    trial in the table, its trainings count.
    """
    winners = find_winners(trials.assign(arm=trials["configuration"]))
    best = {
        (arm, study): trial
        for arm, study, trial in winners[["arm", "study", "trial"]].itertuples(index=False)
    }
    keys = finals[["configuration", "study", "trial"]].itertuples(index=False)
    return pd.Series([best.get((c, s), t) != t for c, s, t in keys], finals.index, dtype=bool)


def drop_stale(rows: pd.DataFrame, trials: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows of arms -> those that count, and a sentence if trainings of former winners do not."""
    is_final = rows["stage"] == "final"
    if not is_final.any() or trials.empty:
        return rows, []
    stale = find_stale(rows[is_final], trials)
    return rows.drop(index=stale.index[stale]), list(describe_stale(rows[is_final], stale))


def to_units(rows: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Rows of arms -> what comparisons count: the rows, or studies in place of their trainings."""
    is_final = rows["stage"] == "final"
    if unit != "study" or not is_final.any():
        return rows
    studies = to_studies(rows[is_final])
    others = rows[~is_final]
    return pd.concat([studies, others], ignore_index=True) if len(others) else studies


def describe_stale(finals: pd.DataFrame, stale: "pd.Series[bool]") -> Iterator[str]:
    """A sentence if trainings of former winners are set aside."""
    if stale.any():
        names = ", ".join(dict.fromkeys(finals.loc[stale, "configuration"]))
        yield (
            f"{stale.sum()} trainings of former winners are left out, as more trials found better "
            f"ones: {names}"
        )


def to_studies(finals: pd.DataFrame) -> pd.DataFrame:
    """Trainings of winners with `configuration` -> one row a study, which `seed` numbers.

    Numbers are means over the study's finished trainings, except `train_seconds` and
    `score_seconds`, which are sums. A study without a finished training keeps the status of its
    first row. Columns of lists are None.
    """
    numbers = finals.select_dtypes("number").columns.difference([*ARM_COLUMNS, "seed"])
    blanked = finals.assign(**blank_searched(finals), arm=finals["configuration"])
    studies = [
        _merge_study(group, numbers)
        for _, group in blanked.assign(study=finals["study"]).groupby(["arm", "study"], sort=False)
    ]
    return pd.concat(studies, ignore_index=True)


def _merge_study(group: pd.DataFrame, numbers: pd.Index) -> pd.DataFrame:
    finished = group[group["status"] == "ok"]
    counted = finished if len(finished) else group
    merged = counted.head(1).copy()
    for name in numbers:
        values = counted[name].astype(float)
        merged[name] = values.sum() if name in ("train_seconds", "score_seconds") else values.mean()
    for name in ("digit_counts", "digit_counts_200"):
        merged[name] = None
    return merged.assign(seed=int(group["study"].iloc[0]), study=0)


def describe_unit(unit: str, rows: pd.DataFrame) -> str:
    """What a verdict on tuned arms is about, in a sentence; empty without them."""
    if not (rows["stage"] == "final").any():
        return ""
    if unit == "study":
        return (
            "The unit is the study: an independent search and the mean of its winner's trainings. "
            "A verdict is about models that are tuned like this."
        )
    return (
        "The winner of a study is one configuration: a verdict says that this configuration beats "
        "that one, not that one model beats the other when tuned (compare: {unit: study})."
    )
