"""Several results folders read together, so that an arm of one commit or machine meets an arm of
another.

The folders are pooled: cells of one setting are one arm wherever they lie, unless a choice says
`results=2` (the second folder on the command line) or `results=PATH`. A cell that lies in several
counts once, and in what order the folders are named changes nothing.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames import adaptive_seeds, duplicates, load
from analysis.frames.arm_names import labels, named
from analysis.frames.arm_table import chosen, said
from harness.errors import BadInput, unknown
from harness.experiment.cell import Setting
from harness.storage.schema import ARM
from harness.storage.store import Store

FOLDER = "results"
Choice = dict[str, Setting]


@dataclass(frozen=True)
class Pool:
    """Where the folders lie, their rows with `results`, the number of the row's folder from 1, and
    all provenance.
    """

    paths: Sequence[str]
    rows: pd.DataFrame
    provenance: Sequence[Mapping[str, Any]]


def read(paths: Sequence[str]) -> Pool:
    """The rows and the provenance of all folders; what is torn is named on the standard error."""
    found = [load.read(Store(path)) for path in paths]
    for told in (told for each in found for told in each.damaged):
        print(f"damaged: {told}", file=sys.stderr)
    tables = [each.rows.assign(**{FOLDER: number}) for number, each in enumerate(found, start=1)]
    return Pool(
        paths,
        pd.concat(tables, ignore_index=True),
        [run for each in found for run in each.provenance],
    )


def parsed(text: str) -> Choice:
    """A choice as it is written -> its columns and values.

    >>> parsed("model=gmvae,beta=4")
    {'model': 'gmvae', 'beta': '4'}
    """
    choice: Choice = {}
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not (name and separator and value) or name in choice:
            raise BadInput(
                f"cannot read {text!r}; expected COLUMN=VALUE[,COLUMN=VALUE ...], each column once"
            )
        choice[name] = value
    return choice


def two(pool: Pool, choices: tuple[Choice, Choice], metric: str) -> tuple[pd.DataFrame, str, str]:
    """The rows of the arms that the choices name, one a seed, and the arms' names; each choice must
    name one arm.

    The columns `arm`, `adaptive` and `unrecorded` are added. `metric` is the column that will be
    compared.
    """
    parts = [_one(pool, choice, metric) for choice in choices]
    names = [
        str(name)
        for name in labels(
            pd.concat([part[list(ARM)].head(1) for part in parts], ignore_index=True)
        )
    ]
    if names[0] == names[1]:
        names = [
            f"{name} ({FOLDER} {_numbers(part)})" for name, part in zip(names, parts, strict=True)
        ]
    if names[0] == names[1]:
        raise BadInput(
            f"--a {said(choices[0])} and --b {said(choices[1])} are the same arm, {names[0]}; "
            f"expected two"
        )
    both = pd.concat(
        [part.assign(arm=name) for part, name in zip(parts, names, strict=True)], ignore_index=True
    )
    return both, *names  # type: ignore[return-value]


def _one(pool: Pool, choice: Choice, metric: str) -> pd.DataFrame:
    rows, rest = pool.rows, dict(choice)
    if FOLDER in rest:
        rows = rows[rows[FOLDER] == _number(pool.paths, str(rest.pop(FOLDER)))]
    arms = rows[list(ARM)].drop_duplicates()
    found = chosen(arms.set_index(pd.Index(labels(arms))), rest)
    if len(found) != 1:
        names = ", ".join(map(repr, found.index if len(found) else labels(arms)))
        told = f"{len(found)} arms: {names}" if len(found) else f"no arm of {names}"
        raise BadInput(f"{said(choice)!r} names {told}; expected exactly one")
    rows = rows.assign(arm=named(rows))
    return _pooled(
        adaptive_seeds.marked(rows[rows["arm"] == found.index[0]], pool.provenance), metric
    )


def _pooled(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row a seed of an arm: a scored one before a finished one before a failed one, none where
    results differ.

    NELBO and accuracy are asked beside the metric: where they differ, the cell was trained twice.
    Which of two rows that are as good is kept depends on what they hold, never on the order of the
    folders.
    """
    for told in duplicates.sentences(rows, [FOLDER]):
        raise BadInput(told)
    ok = rows["status"] == "ok"
    for column in dict.fromkeys((metric, "nelbo", "accuracy")):
        _refuse_two(rows[ok], column)
    if metric.startswith("subset_"):
        _refuse_two(rows[ok & rows[metric].notna()], "subset_checksum")
    several = rows.duplicated("seed", keep=False)
    if not several.any():
        return rows
    rank = (~ok).astype(int) + (~ok | rows[metric].isna())
    text = rows[several].drop(columns=FOLDER).map(repr).agg("|".join, axis=1)
    best = (
        rows.assign(rank=rank, text=text)
        .sort_values(["seed", "rank", "text"])
        .drop_duplicates("seed")
    )
    return best.drop(columns=["rank", "text"])


def _refuse_two(finished: pd.DataFrame, column: str) -> None:
    """Refuse the first seed of which two rows hold different values of the column; an empty one
    differs from none.
    """
    values = finished.groupby("seed")[column].nunique()
    if (values > 1).any():
        seed = values.index[values > 1][0]
        where = _numbers(finished[(finished["seed"] == seed) & finished[column].notna()])
        raise BadInput(
            f"seed {seed} has different values of {column} in folders {where}; choose one: "
            f"{FOLDER}=NUMBER"
        )


def _number(paths: Sequence[str], wanted: str) -> int:
    names = [str(number) for number in range(1, len(paths) + 1)]
    if wanted in names:
        return int(wanted)
    places = [Store(path).address for path in paths]
    if Store(wanted).address in places:
        return places.index(Store(wanted).address) + 1
    raise unknown("results folder", wanted, [*names, *paths])


def _numbers(rows: pd.DataFrame) -> str:
    return " and ".join(str(number) for number in sorted(rows[FOLDER].unique()))
