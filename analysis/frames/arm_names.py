"""Short names of arms, with only the settings that distinguish them from the others of a table."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.storage.artifacts import ArmName
from harness.storage.schema import ARM_COLUMNS

DISPLAY = "display"  # the column of names that people gave; empty for the other arms

Columns = dict[str, list[Any]]  # the values of each column, an arm at each place
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
    # plain lists: there are few arms, and a Series costs more than their names
    columns: Columns = {name: arms[name].tolist() for name in ARM_COLUMNS}
    columns["labelled"] = [labels > 0 for labels in columns["labels"]]
    parts = [
        columns["model"],
        _format_pairs(columns, "settings", ("model",)),
        _format_beta(columns),
    ]
    for column, scope, wording in _NAME_PARTS:
        parts.append(_show(map(wording, columns[column]), _varies(columns, column, scope)))
    parts += [_format_pairs(columns, column, ()) for column in ("recipe", "term_weights")]
    names = ["".join(words) for words in zip(*parts, strict=True)]
    winners = _format_winner(columns, names)
    unique = [name + winner for name, winner in zip(names, winners, strict=True)]
    return pd.Series(unique, arms.index, dtype=str, name="arm")


def row_arm_names(rows: pd.DataFrame) -> pd.Series:
    """Results table -> the name of each row's arm."""
    return _spread_over_rows(rows, arm_names)


def rename_arms(rows: pd.DataFrame, names: Sequence[ArmName]) -> pd.DataFrame:
    """Results table with `arm` -> the same with the names that people gave, also in `DISPLAY`.

    A name that another arm has does not count, so that no two arms share one.
    """
    if not names:
        return rows.assign(**{DISPLAY: ""})
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
    # of neighbours that share an arm, as in a table that the harness wrote, the first is enough
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = np.any([(rows[key] != rows[key].shift())[1:] for key in keys], axis=0)
    firsts = rows.loc[starts, keys]
    arms = firsts.drop_duplicates()
    named = firsts.merge(arms.assign(name_of_arm=name(arms)), on=keys, how="left")["name_of_arm"]
    return named.take(np.cumsum(starts) - 1).set_axis(rows.index)


def series_names(rows: pd.DataFrame, *columns: str) -> pd.Series:
    """Results table -> the name of each row's arm without `columns` of `ARM_COLUMNS`.

    Arms that differ in these columns alone share the name and form a series. A series of one arm
    that a person named has its name.
    """
    alike = dict.fromkeys(columns, 1)
    names = _spread_over_rows(rows, lambda arms: row_arm_names(arms.assign(**alike)))
    if DISPLAY not in rows or not (rows[DISPLAY] != "").any():
        return names
    is_single = rows["arm"].groupby(names).transform("nunique") == 1
    is_given = (rows[DISPLAY] != "") & ~rows[DISPLAY].isin(names.unique())
    return names.mask(is_single & is_given, rows[DISPLAY])


def prefer_given(names: pd.Series, rows: pd.DataFrame) -> pd.Series:
    """Names by arm -> the same with those that people gave in their place."""
    if DISPLAY not in rows:
        return names
    given = rows.drop_duplicates("arm").set_index("arm")[DISPLAY].reindex(names.index).fillna("")
    return names.mask(given != "", given)


def _varies(columns: Columns, column: str, scope: tuple[str, ...]) -> list[bool]:
    """Whether a column has several values among the arms of each arm's scope."""
    scopes = [*zip(*(columns[name] for name in scope), strict=True)] or [()] * len(columns[column])
    found = defaultdict[tuple[Any, ...], set[Any]](set)
    for key, value in zip(scopes, columns[column], strict=True):
        found[key].add(value)
    return [len(found[key]) > 1 for key in scopes]


def _show(words: Iterable[str], shown: Iterable[bool]) -> list[str]:
    return [word if is_shown else "" for word, is_shown in zip(words, shown, strict=True)]


def _format_beta(columns: Columns) -> list[str]:
    """β where it varies; β = 1 is left out for a model, or a classifier, that has no other β."""
    betas = columns["beta"]
    among_alike, anywhere = (
        _varies(columns, "beta", scope) for scope in (("model", "supervision"), ())
    )
    shown = [
        alike or (somewhere and beta != 1)
        for alike, somewhere, beta in zip(among_alike, anywhere, betas, strict=True)
    ]
    return _show(map(" β={:.12g}".format, betas), shown)


def _format_winner(columns: Columns, names: Sequence[str]) -> list[str]:
    """The study whose winner an arm is, and its trial where winners would share a name."""
    is_final = [stage == "final" for stage in columns["stage"]]
    text = _show(map(" (winner of study {})".format, columns["study"]), is_final)
    count = Counter(name + words for name, words in zip(names, text, strict=True))
    return [
        f"{words} trial {trial} of {search}" if final and count[name + words] > 1 else words
        for name, words, final, trial, search in zip(
            names, text, is_final, columns["trial"], columns["search"], strict=True
        )
    ]


def _format_pairs(columns: Columns, column: str, scope: tuple[str, ...]) -> list[str]:
    """The keys of a JSON column that vary among the arms of a scope, with their values."""
    values = [json.loads(text) for text in columns[column]]
    names = [""] * len(values)
    for key in dict.fromkeys(key for value in values for key in value):
        text = [f" {key}={value[key]}" if key in value else "" for value in values]
        shown = _show(text, _varies({**columns, "text": text}, "text", scope))
        names = [name + word for name, word in zip(names, shown, strict=True)]
    return names
