"""Warnings about the results: broken sums, mixed data, failed cells, missing scores, few seeds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames.metrics import COLUMN_PREFIXES
from analysis.stats.thresholds import MIN_SEEDS
from harness.storage.schema import SUM_TOLERANCE, adds_up


def list_caveats(
    rows: pd.DataFrame, arm_counts: pd.DataFrame, estimates: pd.DataFrame, unit: str = "seed"
) -> list[str]:
    """Results table, its `count_cells` and `estimate_arms` -> sentences, the most serious first.

    unit: what the comparisons count; numbers of seeds matter only where it is "seed"
    """
    arm_counts = arm_counts.reset_index()
    seeds = [*_describe_unequal_seeds(arm_counts), *_describe_few_seeds(arm_counts)]
    return [
        *describe_broken_sums(rows),
        *_describe_mixed_data(rows),
        *_describe_failures(arm_counts),
        *_describe_missing_scores(estimates),
        *(seeds if unit == "seed" else []),
    ]


def warn_about_selection(comparisons: pd.DataFrame, has_validation: bool = False) -> Iterator[str]:
    """A warning against choosing the best arm by its test score, where arms were compared.

    has_validation: whether cells have scores on validation images, by which an arm can be chosen
    """
    if len(comparisons):
        instead = (
            " and can be chosen by validation_nelbo or validation_accuracy"
            if has_validation
            else ", there is no validation split"
        )
        yield (
            f"arms are scored on the test images{instead}: if an arm is chosen because it is best "
            "here, its score is optimistic"
        )


def list_unfinished_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table with `arm` -> arm, seed, status and error of every cell that has no result."""
    without = rows.loc[rows["status"] != "ok", ["arm", "seed", "status", "error"]]
    return without.fillna({"error": "no reason given"})


def describe_unstarted_cells(row_count: int, provenance: Sequence[Mapping[str, Any]]) -> str:
    """How many planned cells have no row; empty if none is known to be missing."""
    planned = max((int(record.get("cells") or 0) for record in provenance), default=0)
    missing = planned - row_count
    return (
        f"At least {missing:,} of the {planned:,} cells of a run have no row yet."
        if missing > 0
        else ""
    )


def describe_broken_sums(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence on each row whose NELBO is not its KL and reconstruction together."""
    for prefix in COLUMN_PREFIXES.values():
        columns = [prefix + part for part in ("nelbo", "kl", "rec")]
        nelbo, kl, rec = rows[columns].to_numpy(dtype=float).T
        exact = np.abs(nelbo - (kl + rec)) <= SUM_TOLERANCE * np.abs(nelbo)
        parts = rows.loc[~np.isnan(nelbo) & ~exact, ["cell", *columns]]
        for cell, nelbo, kl, rec in parts.itertuples(index=False):
            if not adds_up(nelbo, kl, rec) or math.isnan(kl + rec):
                yield (
                    f"cell {cell}: {prefix}nelbo {nelbo:.2f} is not {prefix}kl {kl:.2f} + "
                    f"{prefix}rec {rec:.2f}"
                )


def _describe_failures(arm_counts: pd.DataFrame) -> Iterator[str]:
    for arm, cells, failed, diverged in arm_counts[
        ["arm", "cells", "failed", "diverged"]
    ].itertuples(index=False):
        for count, status in ((failed, "failed"), (diverged, "diverged")):
            if count:
                yield f"{arm}: {count} of {cells} cells {status}, counted in no mean"


def _describe_missing_scores(estimates: pd.DataFrame) -> Iterator[str]:
    partly = estimates[(estimates["n"] > 0) & (estimates["n"] < estimates["ok"])]
    columns = (
        partly.groupby(["arm", "missing", "ok"], sort=False)["metric"].agg(", ".join).reset_index()
    )
    for arm, missing, ok, names in columns.itertuples(index=False):
        yield f"{arm}: {missing} of {ok} finished cells hold no {names}"


def _describe_mixed_data(rows: pd.DataFrame) -> Iterator[str]:
    for column, what in (
        ("subset_checksum", "lists of images behind subset_*"),
        ("data_checksum", "versions of the data"),
    ):
        versions = rows.groupby("dataset")[column].nunique()
        for dataset, count in versions[versions > 1].items():
            yield f"{dataset}: {count} different {what}; their means must not be believed"


def _describe_unequal_seeds(arm_counts: pd.DataFrame) -> Iterator[str]:
    ordered = arm_counts.sort_values("ok", kind="stable")
    fewest, most = ordered.iloc[0], ordered.iloc[-1]
    if fewest["ok"] < most["ok"]:
        span = f"from {fewest['ok']} ({fewest['arm']}) to {most['ok']} ({most['arm']})"
        yield f"unequal numbers of finished seeds: {span}"


def _describe_few_seeds(arm_counts: pd.DataFrame) -> Iterator[str]:
    few = arm_counts[arm_counts["ok"] < MIN_SEEDS]
    if len(few):
        yield (
            f"fewer than {MIN_SEEDS} finished seeds in {len(few)} of {len(arm_counts)} arms: "
            f"description "
            f"only, no verdict"
        )
