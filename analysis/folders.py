"""Several results folders read together, so that an arm of one commit or machine meets an arm of another.

The folders are pooled: cells of one setting are one arm wherever they lie, unless a choice says `results=2` (the second
folder on the command line) or `results=PATH`.
"""

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis import adaptive, results
from analysis.arm import chosen, said
from analysis.naming import labels, named
from harness.errors import BadInput, unknown
from harness.grid import Setting
from harness.schema import ARM
from harness.store import Store

FOLDER = "results"
Choice = dict[str, Setting]


def read(paths: Sequence[str]) -> pd.DataFrame:
    """The rows of all folders, with `results`, the number of the row's folder from 1, and `adaptive`."""
    tables = []
    for number, path in enumerate(paths, start=1):
        found = results.read(Store(path))
        for told in found.damaged:
            print(f"damaged: {told}", file=sys.stderr)
        tables.append(adaptive.marked(found.rows, found.provenance).assign(**{FOLDER: number}))
    return pd.concat(tables, ignore_index=True)


def parsed(text: str) -> Choice:
    """A choice as it is written -> its columns and values.

    >>> parsed("model=gmvae,beta=4")
    {'model': 'gmvae', 'beta': '4'}
    """
    choice: Choice = {}
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not (name and separator and value) or name in choice:
            raise BadInput(f"cannot read {text!r}; expected COLUMN=VALUE[,COLUMN=VALUE ...], each column once")
        choice[name] = value
    return choice


def two(rows: pd.DataFrame, paths: Sequence[str], choices: tuple[Choice, Choice]) -> tuple[pd.DataFrame, str, str]:
    """The rows of the arms that the choices name, with `arm`, and the arms' names; each choice must name one arm."""
    parts = [_one(rows, paths, choice) for choice in choices]
    names = [str(name) for name in labels(pd.concat([part[list(ARM)].head(1) for part in parts], ignore_index=True))]
    if names[0] == names[1]:
        names = [f"{name} ({FOLDER} {_numbers(part)})" for name, part in zip(names, parts, strict=True)]
    if names[0] == names[1]:
        raise BadInput(f"--a {said(choices[0])} and --b {said(choices[1])} are the same arm, {names[0]}; expected two")
    both = pd.concat([part.assign(arm=name) for part, name in zip(parts, names, strict=True)], ignore_index=True)
    return both, *names  # type: ignore[return-value]


def _one(rows: pd.DataFrame, paths: Sequence[str], choice: Choice) -> pd.DataFrame:
    rest = dict(choice)
    if FOLDER in rest:
        rows = rows[rows[FOLDER] == _number(paths, str(rest.pop(FOLDER)))]
    arms = rows[list(ARM)].drop_duplicates()
    found = chosen(arms.set_index(pd.Index(labels(arms))), rest)
    if len(found) != 1:
        names = ", ".join(map(repr, found.index if len(found) else labels(arms)))
        told = f"{len(found)} arms: {names}" if len(found) else f"no arm of {names}"
        raise BadInput(f"{said(choice)!r} names {told}; expected exactly one")
    return _pooled(rows[named(rows) == found.index[0]])


def _pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: a finished one before a failed one, and none where two finished ones differ."""
    ordered = rows.assign(bad=rows["status"] != "ok").sort_values("bad", kind="stable")
    for metric in ("nelbo", "accuracy"):
        spread = ordered[~ordered["bad"]].groupby("seed")[metric].agg(np.ptp)
        if (spread > 0).any():
            seed = spread.index[spread > 0][0]
            raise BadInput(
                f"seed {seed} has different results in folders {_numbers(rows)}; choose one: {FOLDER}=NUMBER"
            )
    return ordered.drop_duplicates("seed").drop(columns="bad")


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
