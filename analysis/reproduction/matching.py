"""Which arms of ours were trained as the protocol says, hence may stand beside a printed row."""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import training_length
from analysis.frames.arm_names import labels
from analysis.frames.arm_table import arms, records, scaled, tally
from analysis.frames.metrics import METRICS, Evaluation, Metric
from analysis.reproduction.consistency import parts
from analysis.reproduction.references import Protocol, Reference, References, Shown

EXACT = ("model", "supervision", "labels", "beta", "dataset", "batch_size", "learning_rate")


def candidates(rows: pd.DataFrame, references: References) -> pd.DataFrame:
    """Results table -> what `estimate.arms` says of every arm and metric, in the metric's unit,
    with two columns more.

    arm: its name. elsewhere: whether its subset_* were scored on another list of images than the
    source report's.
    """
    table = scaled(arms(rows, [metric.column for metric in METRICS]))
    table = table.assign(arm=labels(table))
    return table.assign(elsewhere=table["arm"].isin(_elsewhere(rows, references.report_subset)))


def _elsewhere(rows: pd.DataFrame, checksum: str) -> set[str]:
    other = rows["subset_checksum"].notna() & (rows["subset_checksum"] != checksum)
    return set(rows.loc[other, "arm"])


def matching(ours: pd.DataFrame, protocol: Protocol) -> pd.Series:
    """Which rows of `arms` were trained as `protocol` says; a setting that an arm does not list is
    not compared.
    """
    same = ours["settings"].map(lambda text: _agree(json.loads(text), protocol))
    for column in EXACT:
        same &= ours[column] == getattr(protocol, column)
    return same


def _agree(settings: dict[str, Any], protocol: Protocol) -> bool:
    return all(settings.get(name, value) == value for name, value in protocol.settings.items())


def counterparts(
    shown: Shown, evaluation: Evaluation, ours: pd.DataFrame, known: References
) -> pd.DataFrame:
    """`matched.candidates` -> a row for each printed figure and each arm trained as its table says,
    or for none.

    Columns: those of `reproduction.verdicts` up to margin; printed, the figure as it stands;
    reasons, why the two cannot be compared, else empty; flags, which cells of ours are not in n,
    else empty.
    """
    metrics = {metric.name: metric for metric in METRICS if metric.evaluation == evaluation}
    found = []
    for protocol, reference in product(shown.arms, known.of(shown.name, evaluation)):
        if reference.tells_of(protocol):
            arms = ours[matching(ours, protocol)]
            for name in reference.figures:
                found += _of_figure(reference, metrics[name], protocol, arms, known)
    return pd.DataFrame(found)


def any_of_ours(rows: pd.DataFrame, known: References) -> bool:
    """Whether any arm of the results table was trained as one of the printed tables says."""
    ours = candidates(rows, known)
    return any(matching(ours, arm).any() for shown in known.tables for arm in shown.arms)


def _of_figure(
    reference: Reference, metric: Metric, protocol: Protocol, arms: pd.DataFrame, known: References
) -> list[dict[str, Any]]:
    printed = _printed(reference, metric, known.margins.get(metric.name))
    mine: list[pd.Series | None] = [*records(arms[arms["metric"] == metric.column])]
    return [printed | _ours(arm, metric, protocol, reference) for arm in mine or [None]]


def _printed(reference: Reference, metric: Metric, margin: Decimal | None) -> dict[str, Any]:
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
        "their_sd": figure.deviation(reference.n),
        "margin": np.nan if margin is None else float(margin),
        "printed": str(figure.mean),
    }


def _ours(
    arm: pd.Series | None, metric: Metric, protocol: Protocol, reference: Reference
) -> dict[str, Any]:
    if arm is None:
        reasons = [
            "no arm of ours was trained as the protocol says",
            *_of_theirs(reference, metric),
        ]
        return {
            "arm": "",
            "n": 0,
            "mean": np.nan,
            "sd": np.nan,
            "reasons": "; ".join(reasons),
            "flags": "",
        }
    reasons = [*_of_ours(arm, metric, protocol, reference), *_of_theirs(reference, metric)]
    unfinished = tally(arm) if arm["failed"] or arm["diverged"] or 0 < arm["n"] < arm["ok"] else ""
    return {**arm[["arm", "n", "mean", "sd"]], "reasons": "; ".join(reasons), "flags": unfinished}


def _of_ours(
    arm: pd.Series, metric: Metric, protocol: Protocol, reference: Reference
) -> Iterator[str]:
    if arm["iterations"] != arm["full_length"]:
        yield training_length.said(arm["iterations"], arm["full_length"])
    if not arm["n"]:
        yield (
            f"ours are not scored on {metric.evaluation}"
            if arm["ok"]
            else "no cell of ours finished"
        )
    elif arm["elsewhere"] and metric.evaluation == "report_subset":
        yield "ours are scored on other images"
    # one list of labels is as good a draw as one of ours
    drawn = arm["label_draw"] == "seed" and reference.n == 1
    if protocol.label_draw and arm["label_draw"] != protocol.label_draw and not drawn:
        yield (
            f"theirs share one list of labelled images, ours do not (label draw "
            f"{arm['label_draw']})"
        )


def _of_theirs(reference: Reference, metric: Metric) -> Iterator[str]:
    check = parts(reference.figures)
    if check and not check.hold:
        yield f"the printed row {check.text.split(';')[0]}"
    if reference.n is None:
        yield "their n is not stated"
    elif reference.n > 1 and reference.figures[metric.name].spread[0] is None:
        yield "no ± is printed"
