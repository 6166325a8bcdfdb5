"""What a reader must know before believing a number: broken sums, mixed sets, failed, missing,
unequal, few.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.frames.arm_names import labels
from analysis.frames.arm_table import arms, counts
from analysis.frames.metrics import PREFIXES, present
from analysis.stats.thresholds import FEW
from harness.storage.schema import adds_up


def notes(rows: pd.DataFrame) -> list[str]:
    """Results table -> sentences, the gravest first; empty where there is nothing to say."""
    who = counts(rows)
    who = who.assign(arm=labels(who))
    return [
        *broken_sums(rows),
        *_mixed(rows),
        *_without_result(who),
        *_missing(rows),
        *_unequal(who),
        *_few(who),
    ]


def chosen_on_test(compared: pd.DataFrame) -> Iterator[str]:
    """What must be known before the best of several arms is taken, where arms were compared."""
    if len(compared):
        yield (
            "arms are scored on the test images, there is no validation split: if an arm is "
            "chosen because it is best "
            "here, its score is optimistic"
        )


def unfinished(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table with `arm` -> arm, seed, status and error of every cell that has no result."""
    without = rows.loc[rows["status"] != "ok", ["arm", "seed", "status", "error"]]
    return without.fillna({"error": "no reason given"})


def unstarted(rows: pd.DataFrame, provenance: Sequence[Mapping[str, Any]]) -> str:
    """What the runs set out to compute and did not; empty where nothing is known to be missing."""
    planned = max((int(record.get("cells") or 0) for record in provenance), default=0)
    missing = planned - len(rows)
    return (
        f"At least {missing:,} of the {planned:,} cells of a run have no row yet."
        if missing > 0
        else ""
    )


def broken_sums(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence on each row whose NELBO is not its KL and reconstruction together."""
    for prefix in PREFIXES.values():
        parts = rows.loc[
            rows[f"{prefix}nelbo"].notna(),
            ["cell", *(prefix + part for part in ("nelbo", "kl", "rec"))],
        ]
        for cell, nelbo, kl, rec in parts.itertuples(index=False):
            if not adds_up(nelbo, kl, rec) or math.isnan(kl + rec):
                yield (
                    f"cell {cell}: {prefix}nelbo {nelbo:.2f} is not {prefix}kl {kl:.2f} + "
                    f"{prefix}rec {rec:.2f}"
                )


def _without_result(who: pd.DataFrame) -> Iterator[str]:
    for arm, cells, failed, diverged in who[["arm", "cells", "failed", "diverged"]].itertuples(
        index=False
    ):
        for count, status in ((failed, "failed"), (diverged, "diverged")):
            if count:
                yield f"{arm}: {count} of {cells} cells {status}, counted in no mean"


def _missing(rows: pd.DataFrame) -> Iterator[str]:
    table = arms(rows, [metric.column for metric in present(rows)])
    table = table.assign(arm=labels(table))
    partly = table[(table["n"] > 0) & (table["n"] < table["ok"])]
    columns = (
        partly.groupby(["arm", "missing", "ok"], sort=False)["metric"].agg(", ".join).reset_index()
    )
    for arm, missing, ok, names in columns.itertuples(index=False):
        yield f"{arm}: {missing} of {ok} finished cells hold no {names}"


def _mixed(rows: pd.DataFrame) -> Iterator[str]:
    for column, what in (
        ("subset_checksum", "lists of images behind subset_*"),
        ("data_checksum", "versions of the data"),
    ):
        found = rows.groupby("dataset")[column].nunique()
        for dataset, different in found[found > 1].items():
            yield f"{dataset}: {different} different {what}; their means must not be believed"


def _unequal(who: pd.DataFrame) -> Iterator[str]:
    ordered = who.sort_values("ok", kind="stable")
    fewest, most = ordered.iloc[0], ordered.iloc[-1]
    if fewest["ok"] < most["ok"]:
        said = f"from {fewest['ok']} ({fewest['arm']}) to {most['ok']} ({most['arm']})"
        yield f"unequal numbers of finished seeds: {said}"


def _few(who: pd.DataFrame) -> Iterator[str]:
    few = who[who["ok"] < FEW]
    if len(few):
        yield (
            f"fewer than {FEW} finished seeds in {len(few)} of {len(who)} arms: description "
            f"only, no verdict"
        )
