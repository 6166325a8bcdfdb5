"""`results.json`: every estimate with what a reader must know to cite or compare it."""

import json
from typing import Any

import pandas as pd

from analysis.folders.estimates import Estimates
from analysis.frames.arm_table import list_rows
from analysis.frames.metrics import (
    ACCURACY,
    BOUND_PARTS,
    EVALUATION_SET_NAMES,
    VALIDATION_ACCURACY,
    Metric,
)
from harness.experiment.metrics import count_draws
from harness.storage.layout import TABLE

FORMAT = "generative-bench results 1"
DENSITY, CLASSIFICATION, GENERATION = "density estimation", "classification", "generation"
# what `nelbo` and its parts hold of log p(x), by the column `estimator`
ESTIMATORS = {"elbo": "evidence lower bound, one draw", "exact": "exact"}
SPREAD = "SE of the mean over seeds"


def make_results(
    estimates: Estimates, provenance: list[dict[str, Any]], checksum: str | None
) -> dict[str, Any]:
    """The content of results.json.

    checksum: SHA-256 of results.parquet with these rows, None if there is no such file
    """
    table = estimates.table[estimates.table["n"] > 0]
    recorded = _read_binarisation(provenance)
    names = list(estimates.arms.index)
    arms = dict(zip(names, list_rows(estimates.arms), strict=True))
    return {
        "format": FORMAT,
        "parquet": {"file": TABLE, "sha256": checksum},
        "results": [
            _make_result(
                each,
                estimates.metrics[each["metric"]],
                arms[each["arm"]],
                estimates.rows[estimates.rows["arm"] == each["arm"]],
                recorded,
            )
            for each in list_rows(table)
        ],
    }


def _make_result(
    each: dict[str, Any],
    metric: Metric,
    arm: dict[str, Any],
    rows: pd.DataFrame,
    recorded: dict[tuple[str, str], str | None],
) -> dict[str, Any]:
    scored = rows[(rows["status"] == "ok") & rows[metric.column].notna()]
    return {
        "task": _name_task(metric, arm),
        "data": arm["dataset"],
        "data_checksum": _list_values(scored["data_checksum"]),
        "evaluated_on": EVALUATION_SET_NAMES.get(metric.evaluation),
        "subset_checksum": (
            _list_values(scored["subset_checksum"])
            if metric.evaluation == "report_subset"
            else None
        ),
        "binarisation": _find_binarisation(scored, recorded),
        "arm": each["arm"],
        "model": arm["model"],
        "settings": json.loads(arm["settings"]),
        "beta": float(arm["beta"]),
        "supervision": arm["supervision"],
        "labels": int(arm["labels"]),
        "iterations": int(arm["iterations"]),
        "metric": metric.column,
        "better": metric.better,
        "estimator": _name_estimator(metric, scored),
        "value": float(each["mean"]),
        "spread": None if pd.isna(each["se"]) else float(each["se"]),
        "spread_kind": SPREAD,
        "n": int(each["n"]),
        "seeds": sorted(int(seed) for seed in scored["seed"]),
        "unit": metric.unit,
        "commit": _list_values(scored["git_commit"]),
    }


def _name_task(metric: Metric, arm: dict[str, Any]) -> str:
    if metric.column in (ACCURACY.column, VALIDATION_ACCURACY.column):
        semi = "semi-supervised " if arm["supervision"] == "semi-supervised" else ""
        return f"{semi}{CLASSIFICATION}"
    return GENERATION if metric.evaluation == "own" else DENSITY


def _name_estimator(metric: Metric, scored: pd.DataFrame) -> str | None:
    """How log p(x) is estimated; None for a metric that is no estimate of it."""
    draws = count_draws(metric.column)
    if draws is not None:
        return f"importance-weighted bound, {draws:,} draws"
    if metric.unit != "nats" or metric.evaluation == "own":
        return None
    if metric.column == "nll":
        return ESTIMATORS["exact"]
    names = [ESTIMATORS.get(name, name) for name in _list_values(scored["estimator"])]
    part = "part of the " if metric.name in BOUND_PARTS else ""
    return part + "; ".join(names)


def _find_binarisation(
    scored: pd.DataFrame, recorded: dict[tuple[str, str], str | None]
) -> str | None:
    """How grey levels became binary; None where data are not binary or nothing is recorded.

    Rows without `data_kind` are of version 0.1, which drew every pixel anew in each step.
    """
    found = {
        "dynamic" if pd.isna(kind) else recorded.get((run, dataset))
        for run, dataset, kind in scored[["run", "dataset", "data_kind"]].itertuples(index=False)
    }
    texts = sorted(each for each in found if each is not None)
    return "; ".join(texts) if texts and None not in found else None


def _read_binarisation(provenance: list[dict[str, Any]]) -> dict[tuple[str, str], str | None]:
    """The binarisation of each data set of each run that recorded it."""
    return {
        (str(run.get("run")), str(name)): kind
        for run in provenance
        if isinstance(run.get("binarisation"), dict)
        for name, kind in run["binarisation"].items()
    }


def _list_values(column: pd.Series) -> list[str]:
    return sorted({str(value) for value in column.dropna()})
