"""Short names of arms, with only the settings that distinguish them from the others of a table."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from harness.storage.artifacts import ArmName
from harness.storage.schema import ARM_COLUMNS

DISPLAY = "display"  # the column of names that people gave; empty for the other arms

Wording = Callable[[Any], str]
# In this order after the model: column, columns within which it must vary to be shown, wording.
_NAME_PARTS: tuple[tuple[str, tuple[str, ...], Wording], ...] = (
    ("supervision", ("model",), " {}".format),
    ("labels", ("labelled",), " {:,} labels".format),
    ("label_draw", ("labelled",), " label draw {}".format),
    ("dataset", (), " {}".format),
    ("iterations", ("model",), " {:,} steps".format),
    ("batch_size", (), " batch {}".format),
    ("learning_rate", (), " learning rate {:.12g}".format),
    ("validation", (), " validation {:,}".format),
    ("data_version", ("dataset",), " data {}".format),
)


def arm_names(arms: pd.DataFrame) -> pd.Series:
    """One row per arm with the columns `ARM_COLUMNS` -> a unique name for each, same index.

    >>> from harness.experiment.grid import Cell
    >>> from harness.storage.schema import describe_cell
    >>> cells = Cell("vae", 0, 10), Cell("vae", 0, 10, beta=4.0), Cell("gmvae", 0, 10)
    >>> list(arm_names(pd.DataFrame([describe_cell(cell) for cell in cells])))
    ['vae β=1', 'vae β=4', 'gmvae']
    """
    arms = arms.assign(labelled=arms["labels"] > 0)
    names = arms["model"] + _format_pairs(arms, "settings", ("model",)) + _format_beta(arms)
    for column, scope, wording in _NAME_PARTS:
        names += arms[column].map(wording).astype(str).where(_varies(arms, column, scope), "")
    for column in ("recipe", "term_weights"):
        names += _format_pairs(arms, column, ())
    return (names + _format_winner(arms, names)).rename("arm")


def row_arm_names(rows: pd.DataFrame) -> pd.Series:
    """Results table -> the name of each row's arm."""
    return _spread_over_rows(rows, arm_names)


def rename_arms(rows: pd.DataFrame, names: Sequence[ArmName]) -> pd.DataFrame:
    """Results table with `arm` -> the same with the names that people gave, also in `DISPLAY`.

    A name that another arm has does not count, so that no two arms share one.
    """
    given = {each.key: each.name for each in names}

    def find_given(arms: pd.DataFrame) -> pd.Series:
        keys = [tuple(values) for values in arms.itertuples(index=False)]
        return pd.Series([given.get(key, "") for key in keys], arms.index, dtype=str)

    wanted = _spread_over_rows(rows, find_given)
    while True:
        arm = rows["arm"].mask(wanted != "", wanted)
        shared = rows["arm"].groupby(arm).transform("nunique") > 1
        if not (shared & (wanted != "")).any():
            return rows.assign(arm=arm, **{DISPLAY: wanted})
        wanted = wanted.mask(shared, "")


def _spread_over_rows(rows: pd.DataFrame, name: Callable[[pd.DataFrame], pd.Series]) -> pd.Series:
    """What a function says of the distinct arms (`ARM_COLUMNS`), for each row."""
    keys = list(ARM_COLUMNS)
    arms = rows[keys].drop_duplicates()
    named = rows[keys].merge(arms.assign(name_of_arm=name(arms)), on=keys, how="left")
    return named["name_of_arm"].set_axis(rows.index)


def series_names(rows: pd.DataFrame, *columns: str) -> pd.Series:
    """Results table -> the name of each row's arm without `columns` of `ARM_COLUMNS`.

    Arms that differ in these columns alone share the name and form a series. A series of one arm
    that a person named has its name.
    """
    names = row_arm_names(rows.assign(**dict.fromkeys(columns, 1)))
    if DISPLAY not in rows:
        return names
    is_single = rows["arm"].groupby(names).transform("nunique") == 1
    is_given = (rows[DISPLAY] != "") & ~rows[DISPLAY].isin(names)
    return names.mask(is_single & is_given, rows[DISPLAY])


def prefer_given(names: pd.Series, rows: pd.DataFrame) -> pd.Series:
    """Names by arm -> the same with those that people gave in their place."""
    if DISPLAY not in rows:
        return names
    given = rows.drop_duplicates("arm").set_index("arm")[DISPLAY].reindex(names.index).fillna("")
    return names.mask(given != "", given)


def _varies(arms: pd.DataFrame, column: str, scope: tuple[str, ...]) -> pd.Series:
    if not scope:
        return pd.Series(arms[column].nunique() > 1, arms.index)
    return arms.groupby(list(scope))[column].transform("nunique") > 1


def _format_beta(arms: pd.DataFrame) -> pd.Series:
    """β where it varies; β = 1 is left out for a model, or a classifier, that has no other β."""
    shown = _varies(arms, "beta", ("model", "supervision")) | (
        _varies(arms, "beta", ()) & (arms["beta"] != 1)
    )
    return arms["beta"].map(" β={:.12g}".format).astype(str).where(shown, "")


def _format_winner(arms: pd.DataFrame, names: pd.Series) -> pd.Series:
    """The study whose winner an arm is, and its trial where winners would share a name."""
    is_final = arms["stage"] == "final"
    text = arms["study"].map(" (winner of study {})".format).astype(str).where(is_final, "")
    shared = (names + text).duplicated(keep=False) & is_final
    return text.mask(shared, text + " trial " + arms["trial"].astype(str) + " of " + arms["search"])


def _format_pairs(arms: pd.DataFrame, column: str, scope: tuple[str, ...]) -> pd.Series:
    """The keys of a JSON column that vary among the arms of a scope, with their values."""
    values = arms[column].map(json.loads)
    names = pd.Series("", arms.index, dtype=str)
    for setting in dict.fromkeys(name for value in values for name in value):
        text = values.map(lambda value, key=setting: f" {key}={value[key]}" if key in value else "")
        names += text.where(_varies(arms.assign(text=text), "text", scope), "")
    return names
