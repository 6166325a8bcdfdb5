"""`diff A B`: which arms are in one folder alone, and which changed by how much.

Differences are B - A. Seeds that both folders have are paired: their mean difference has the
standard error (SE) of the differences. Without common seeds the means are compared, with the SE of
two independent samples (Welch). Nothing is written.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from analysis.folders.contents import open_store
from analysis.folders.estimates import select_counted
from analysis.frames.arm_names import rename_arms
from analysis.frames.load import name_arms, read_rows
from analysis.frames.metrics import Metric, describe_metrics
from analysis.rendering.numbers import format_number
from analysis.stats.summary_tests import paired_test, summarize, welch_test
from harness.storage.store import Store

FOLDER = "folder"  # the column that says where a row lies: 0 in A, 1 in B


@dataclass(frozen=True)
class Change:
    """A metric of an arm in which two folders differ; numbers are in its unit, None where unknown.

    common: seeds scored in both; equal: those of them with equal values. se: that of `difference`,
    of `common` pairs, or of two samples where no seed is common.
    """

    arm: str
    metric: str
    unit: str
    mean_a: float | None
    mean_b: float | None
    n_a: int
    n_b: int
    common: int
    equal: int
    difference: float | None
    se: float | None


@dataclass(frozen=True)
class FolderDifference:
    """Names of arms in one folder alone with their numbers of cells, changes, and equal arms."""

    only_a: dict[str, int]
    only_b: dict[str, int]
    changes: list[Change]
    unchanged: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("a", metavar="A", help="a results folder or bucket")
    parser.add_argument("b", metavar="B", help="another, a later version for example")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")


def run(args: argparse.Namespace) -> Iterator[str]:
    """The lines that the command prints."""
    found = compare_folders(open_store(args.a), open_store(args.b))
    if args.json:
        yield json.dumps(asdict(found), ensure_ascii=False)
    else:
        yield from describe(found, args.a, args.b)


def compare_folders(a: Store, b: Store) -> FolderDifference:
    """What differs between the arms of two folders, cells that do not count left out."""
    both = [select_counted(read_rows(store)) for store in (a, b)]
    columns = ["arm", "configuration", "display"]
    rows = pd.concat(
        [rows.drop(columns=columns).assign(**{FOLDER: n}) for n, rows in enumerate(both)],
        ignore_index=True,
    )
    rows = rename_arms(name_arms(rows), [*a.arm_names(), *b.arm_names()])
    metrics = describe_metrics(rows)
    only: tuple[dict[str, int], dict[str, int]] = ({}, {})
    changes: list[Change] = []
    unchanged = []
    for arm, cells in rows.groupby("arm", sort=False):
        places = sorted(cells[FOLDER].unique())
        if len(places) == 1:
            only[places[0]][str(arm)] = len(cells)
            continue
        found = list(_list_changes(str(arm), cells[cells["status"] == "ok"], metrics))
        changes += found
        if not found:
            unchanged.append(str(arm))
    return FolderDifference(*only, changes, unchanged)


def _list_changes(arm: str, cells: pd.DataFrame, metrics: dict[str, Metric]) -> Iterator[Change]:
    for column, metric in metrics.items():
        if column not in cells:
            continue
        a, b = (
            cells[cells[FOLDER] == n].set_index("seed")[column].dropna().astype(float)
            for n in (0, 1)
        )
        if not a.equals(b.reindex(a.index)) or len(a) != len(b):
            yield _describe_change(arm, metric, a * metric.factor, b * metric.factor)


def _describe_change(arm: str, metric: Metric, a: pd.Series, b: pd.Series) -> Change:
    """Scores by seed in both folders, in the unit of the metric -> the change."""
    seeds = a.index.intersection(b.index)
    one, other = (summarize(each.to_numpy()[np.newaxis]) for each in (a, b))
    pairs = b.loc[seeds].to_numpy() - a.loc[seeds].to_numpy()
    test = paired_test(summarize(pairs[np.newaxis])) if len(seeds) else welch_test(other, one)
    return Change(
        arm=arm,
        metric=metric.column,
        unit=metric.unit,
        mean_a=_to_number(one.mean[0]),
        mean_b=_to_number(other.mean[0]),
        n_a=len(a),
        n_b=len(b),
        common=len(seeds),
        equal=int((pairs == 0).sum()),
        difference=_to_number(test.difference[0]),
        se=_to_number(test.se[0]),
    )


def describe(found: FolderDifference, a: str, b: str) -> Iterator[str]:
    """The difference in lines; a and b are the names of the folders."""
    for name, arms in ((a, found.only_a), (b, found.only_b)):
        for arm, cells in arms.items():
            yield f"only in {name}: {arm} ({cells:,} cells)"
    for change in found.changes:
        yield f"changed: {_format_change(change)}"
    count = len(found.unchanged)
    names = f": {', '.join(found.unchanged)}" if count else ""
    yield f"unchanged: {count:,} arm{'s' * (count != 1)}{names}"


def _format_change(change: Change) -> str:
    unit = f" {change.unit}" if change.unit else ""
    means = " -> ".join(
        f"{_format(mean)} (n = {n})"
        for mean, n in ((change.mean_a, change.n_a), (change.mean_b, change.n_b))
    )
    start = f"{change.arm}: {change.metric} {means}"
    if change.difference is None:
        return start
    difference = change.difference
    sign = "+" * (difference > 0)
    text = f"{start}: {sign}{_format(difference)}"
    text += f" ± {_format(change.se)} SE" if change.se is not None else ", no ±"
    if not change.common:
        return f"{text}{unit}, no common seed"
    seeds = f"{change.common:,} common seed{'s' * (change.common > 1)}"
    return f"{text}{unit} over {seeds}, {change.equal:,} of them equal"


def _format(value: float | None) -> str:
    return format_number(math.nan if value is None else value, None)


def _to_number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
