"""Find our arms that follow the published protocol and can be compared with a printed row."""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import training_length
from analysis.frames.arm_table import (
    Row,
    format_status_counts,
    list_rows,
)
from analysis.frames.metrics import METRICS, EvaluationSet, Metric
from analysis.reproduction.consistency import check_sum
from analysis.reproduction.references import Protocol, Reference, References, ReferenceTable

MATCHED_COLUMNS = (
    "model",
    "supervision",
    "labels",
    "beta",
    "dataset",
    "batch_size",
    "learning_rate",
    "validation",
)


def select_candidates(
    estimates: pd.DataFrame, rows: pd.DataFrame, references: References
) -> pd.DataFrame:
    """Scaled `estimate_arms` and its results table -> the metrics of all tables, and `elsewhere`.

    elsewhere: whether the arm's subset_* were scored on another list of images than that of the
    references (`report_subset`).
    """
    known = estimates["metric"].isin([metric.column for metric in METRICS])
    table = estimates[known].reset_index(drop=True)
    checksums = rows["subset_checksum"]
    other = checksums.notna() & (checksums != references.report_subset)
    return table.assign(elsewhere=table["arm"].isin(rows.loc[other, "arm"]))


def matches_protocol(ours: pd.DataFrame, protocol: Protocol) -> pd.Series:
    """Which rows of `estimate_arms` follow the protocol; settings an arm lacks are not compared."""
    same = ours["settings"].map(lambda text: _settings_match(json.loads(text), protocol))
    for column in MATCHED_COLUMNS:
        same &= ours[column] == getattr(protocol, column)
    same &= ours["recipe"].map(lambda text: json.loads(text) == protocol.recipe)
    return same & (ours["term_weights"] == "{}")


def _settings_match(settings: dict[str, Any], protocol: Protocol) -> bool:
    return all(settings.get(name, value) == value for name, value in protocol.settings.items())


def match_printed_values(
    table: ReferenceTable, evaluation: EvaluationSet, ours: pd.DataFrame, references: References
) -> pd.DataFrame:
    """`select_candidates` -> a row for each printed value and matching arm, or for none.

    Columns: those of `compute_verdicts` up to margin; printed: the value as text; reasons: why the
    two cannot be compared, or empty; flags: which cells of ours are not in n, or empty.
    """
    metrics = {metric.name: metric for metric in METRICS if metric.evaluation == evaluation}
    printed, result = references.for_table(table.name, evaluation), []
    for protocol in table.arms:
        arms = list_rows(ours[matches_protocol(ours, protocol)])
        for reference in (reference for reference in printed if reference.matches(protocol)):
            for name in reference.figures:
                result += _match_printed_value(reference, metrics[name], protocol, arms, references)
    return pd.DataFrame(result)


def has_matching_arms(ours: pd.DataFrame, references: References) -> bool:
    """`select_candidates` -> whether any arm follows the protocol of a printed table."""
    return any(
        matches_protocol(ours, arm).any() for table in references.tables for arm in table.arms
    )


def _match_printed_value(
    reference: Reference,
    metric: Metric,
    protocol: Protocol,
    arms: Sequence[Row],
    references: References,
) -> list[dict[str, Any]]:
    printed = _make_reference_columns(reference, metric, references.margins.get(metric.name))
    matches: list[Row | None] = [arm for arm in arms if arm["metric"] == metric.column]
    return [
        printed | _make_own_columns(arm, metric, protocol, reference) for arm in matches or [None]
    ]


def _make_reference_columns(
    reference: Reference, metric: Metric, margin: Decimal | None
) -> dict[str, Any]:
    figure = reference.figures[metric.name]
    return {
        "table": reference.table,
        "evaluation": reference.evaluation,
        "reference": reference.name,
        "model": reference.model,
        "supervision": reference.supervision,
        "metric": metric.column,
        "unit": metric.unit,
        "their_n": reference.n or np.nan,
        "their_mean": float(figure.mean),
        "their_sd": figure.standard_deviation(reference.n),
        "margin": np.nan if margin is None else float(margin),
        "printed": str(figure.mean),
    }


def _make_own_columns(
    arm: Row | None, metric: Metric, protocol: Protocol, reference: Reference
) -> dict[str, Any]:
    theirs = _find_reference_obstacles(reference, metric)
    if arm is None:
        numbers: Row = {"arm": "", "n": 0, "mean": np.nan, "sd": np.nan}
        obstacles = ["no arm of ours was trained as the protocol says", *theirs]
        return numbers | {"reasons": "; ".join(obstacles), "flags": ""}
    obstacles = [*_find_own_obstacles(arm, metric, protocol, reference), *theirs]
    is_partial = arm["failed"] or arm["diverged"] or 0 < arm["n"] < arm["ok"]
    return {
        **{name: arm[name] for name in ("arm", "n", "mean", "sd")},
        "reasons": "; ".join(obstacles),
        "flags": format_status_counts(arm) if is_partial else "",
    }


def _find_own_obstacles(
    arm: Row, metric: Metric, protocol: Protocol, reference: Reference
) -> Iterator[str]:
    if arm["iterations"] != arm["full_length"]:
        yield training_length.describe_length(arm["iterations"], arm["full_length"])
    if not arm["n"]:
        yield (
            f"ours are not scored on {metric.evaluation}"
            if arm["ok"]
            else "no cell of ours finished"
        )
    elif arm["elsewhere"] and metric.evaluation == "report_subset":
        yield "ours are scored on other images"
    # a single printed run has one list of labels, which is a draw like ours
    comparable_draw = arm["label_draw"] == "seed" and reference.n == 1
    if protocol.label_draw and arm["label_draw"] != protocol.label_draw and not comparable_draw:
        yield (
            f"theirs share one list of labelled images, ours do not (label draw "
            f"{arm['label_draw']})"
        )


def _find_reference_obstacles(reference: Reference, metric: Metric) -> Iterator[str]:
    check = check_sum(reference.figures)
    if check and not check.holds:
        yield f"the printed row {check.text.split(';')[0]}"
    spread = reference.figures[metric.name].spread[0]
    if reference.n is None:
        yield "their n is not stated"
    elif reference.n > 1 and spread is None:
        yield "no ± is printed"
    if spread is not None and reference.facts.spread_of == "evaluations":
        yield "their ± is over evaluations of one model, not over runs"
    elif spread is not None and reference.facts.spread_of == "unknown":
        yield "what their ± is over is not stated"
