"""Read several results folders together, to compare arms of different commits or machines.

The folders are pooled: cells of one setting are one arm in whichever folder they are, unless a
filter has `results=2` (the second folder of the command line) or `results=PATH`. A cell that is in
several folders counts once. The order of the folders changes nothing.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames import adaptive_seeds, duplicates, load
from analysis.frames.arm_names import DISPLAY, arm_names, row_arm_names
from analysis.frames.arm_table import format_filter, select_arms
from harness.errors import InputError, unknown_name_error
from harness.experiment.cell import Setting
from harness.storage.schema import ARM_COLUMNS
from harness.storage.store import Store

FOLDER_COLUMN = "results"
ArmFilter = dict[str, Setting]


@dataclass(frozen=True)
class Pool:
    """Paths, rows and provenance of the folders; `results` is the row's folder, from 1."""

    paths: Sequence[str]
    rows: pd.DataFrame
    provenance: Sequence[Mapping[str, Any]]


def read_pool(paths: Sequence[str]) -> Pool:
    """Read rows and provenance of all folders; print what is damaged to standard error."""
    all_results = [load.read_results(Store(path)) for path in paths]
    for message in (message for each in all_results for message in each.damaged):
        print(f"damaged: {message}", file=sys.stderr)
    tables = [
        each.rows.assign(**{FOLDER_COLUMN: number})
        for number, each in enumerate(all_results, start=1)
    ]
    return Pool(
        paths,
        pd.concat(tables, ignore_index=True),
        [run for each in all_results for run in each.provenance],
    )


def parse_filter(text: str) -> ArmFilter:
    """Parse COLUMN=VALUE,... of the command line; `InputError` if it has another form.

    >>> parse_filter("model=gmvae,beta=4")
    {'model': 'gmvae', 'beta': '4'}
    """
    arm_filter: ArmFilter = {}
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not (name and separator and value) or name in arm_filter:
            raise InputError(
                f"cannot read {text!r}; expected COLUMN=VALUE[,COLUMN=VALUE ...], each column once"
            )
        arm_filter[name] = value
    return arm_filter


def select_two_arms(
    pool: Pool, filters: tuple[ArmFilter, ArmFilter], metric: str
) -> tuple[pd.DataFrame, str, str]:
    """Rows of the two arms, one per seed, and the arms' names; each filter must match one arm.

    Added columns: `arm`, `adaptive`, `unrecorded`. metric: the column that will be compared.
    """
    parts = [_select_arm(pool, arm_filter, metric) for arm_filter in filters]
    names = [
        str(name)
        for name in arm_names(
            pd.concat([part[list(ARM_COLUMNS)].head(1) for part in parts], ignore_index=True)
        )
    ]
    given = [_find_given_name(part) or name for part, name in zip(parts, names, strict=True)]
    names = given if given[0] != given[1] else names
    if names[0] == names[1]:
        names = [
            f"{name} ({FOLDER_COLUMN} {_format_folder_numbers(part)})"
            for name, part in zip(names, parts, strict=True)
        ]
    if names[0] == names[1]:
        raise InputError(
            f"--a {format_filter(filters[0])} and --b {format_filter(filters[1])} are the same "
            f"arm, {names[0]}; expected two"
        )
    both = pd.concat(
        [part.assign(arm=name) for part, name in zip(parts, names, strict=True)], ignore_index=True
    )
    return both, *names  # type: ignore[return-value]


def _select_arm(pool: Pool, arm_filter: ArmFilter, metric: str) -> pd.DataFrame:
    rows, rest = pool.rows, dict(arm_filter)
    if FOLDER_COLUMN in rest:
        rows = rows[
            rows[FOLDER_COLUMN] == _find_folder_number(pool.paths, str(rest.pop(FOLDER_COLUMN)))
        ]
    arms = rows[list(ARM_COLUMNS)].drop_duplicates()
    matches = select_arms(arms.set_index(pd.Index(arm_names(arms))), rest)
    if len(matches) != 1:
        names = ", ".join(map(repr, matches.index if len(matches) else arm_names(arms)))
        description = f"{len(matches)} arms: {names}" if len(matches) else f"no arm of {names}"
        raise InputError(f"{format_filter(arm_filter)!r} names {description}; expected exactly one")
    rows = rows.assign(arm=row_arm_names(rows))
    marked = adaptive_seeds.mark_adaptive(rows[rows["arm"] == matches.index[0]], pool.provenance)
    return _keep_one_row_per_seed(adaptive_seeds.mark_looks(marked, pool.provenance), metric)


def _find_given_name(rows: pd.DataFrame) -> str:
    """The name that people gave an arm, where all folders that name it agree; else empty."""
    names = {str(name) for name in rows[DISPLAY].unique()} - {""} if DISPLAY in rows else set()
    return names.pop() if len(names) == 1 else ""


def _keep_one_row_per_seed(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row per seed of an arm: scored before finished before failed.

    Raises `InputError` if two rows of a seed have different results. NELBO and accuracy are checked
    as well as the metric: if they differ, the cell was trained twice. Which of two equally good
    rows is kept depends on their values, never on the order of the folders.
    """
    for message in duplicates.describe_duplicates(rows, [FOLDER_COLUMN]):
        raise InputError(message)
    ok = rows["status"] == "ok"
    for column in dict.fromkeys((metric, "nelbo", "accuracy")):
        _refuse_conflicts(rows[ok], column)
    if metric.startswith("subset_"):
        _refuse_conflicts(rows[ok & rows[metric].notna()], "subset_checksum")
    several = rows.duplicated("seed", keep=False)
    if not several.any():
        return rows
    rank = (~ok).astype(int) + (~ok | rows[metric].isna())
    text = rows[several].drop(columns=FOLDER_COLUMN).map(repr).agg("|".join, axis=1)
    best = (
        rows.assign(rank=rank, text=text)
        .sort_values(["seed", "rank", "text"])
        .drop_duplicates("seed")
    )
    return best.drop(columns=["rank", "text"])


def _refuse_conflicts(finished: pd.DataFrame, column: str) -> None:
    """Refuse the first seed with two different values of the column; nan is no conflict."""
    values = finished.groupby("seed")[column].nunique()
    if (values > 1).any():
        seed = values.index[values > 1][0]
        where = _format_folder_numbers(
            finished[(finished["seed"] == seed) & finished[column].notna()]
        )
        raise InputError(
            f"seed {seed} has different values of {column} in folders {where}; choose one: "
            f"{FOLDER_COLUMN}=NUMBER"
        )


def _find_folder_number(paths: Sequence[str], wanted: str) -> int:
    names = [str(number) for number in range(1, len(paths) + 1)]
    if wanted in names:
        return int(wanted)
    places = [Store(path).address for path in paths]
    if Store(wanted).address in places:
        return places.index(Store(wanted).address) + 1
    raise unknown_name_error("results folder", wanted, [*names, *paths])


def _format_folder_numbers(rows: pd.DataFrame) -> str:
    return " and ".join(str(number) for number in sorted(rows[FOLDER_COLUMN].unique()))
