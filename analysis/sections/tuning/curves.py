"""Tuning curves: the expected best validation score of n random trials."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.frames import searches
from analysis.rendering.numbers import format_interval, format_number
from analysis.rendering.section import Plot
from analysis.rendering.table import Table
from analysis.stats.searches.best_of import HONEST_SHARE, Floats, bootstrap_band, expected_best

MIN_TRIALS = 2 * HONEST_SHARE
SEED = 11  # of the bootstrap
METRIC_NAMES = {
    "validation_nelbo": "NELBO on validation images (nats)",
    "validation_accuracy": "error on validation images",
}


@dataclass(frozen=True)
class TuningCurve:
    """The expected best of 1 to n trials of a configuration, with its 95 % bootstrap band."""

    name: str
    metric: str
    n_trials: int
    mean: Floats
    low: Floats
    high: Floats


def compute_curves(trials: pd.DataFrame) -> list[TuningCurve]:
    """Trials -> a curve for each configuration with enough random trials.

    Failed trials are left out. Of halving and tpe there is no curve: their trials are not drawn
    alike.
    """
    found = []
    for name, group in trials.groupby("configuration", sort=False):
        spec = searches.parse_spec(group["search_spec"].iloc[0])
        if spec.get("method") != "random" or len(group) < MIN_TRIALS:
            continue
        metric = spec["metric"]
        values = group.loc[group["status"] == "ok", metric].dropna().to_numpy(float)
        if len(values) < MIN_TRIALS:
            continue
        losses = values if metric == "validation_nelbo" else 1 - values
        counts = np.arange(1, len(values) // HONEST_SHARE + 1)
        low, high = bootstrap_band(losses, counts, np.random.default_rng(SEED))
        mean = expected_best(losses, counts)
        found.append(TuningCurve(str(name), metric, len(values), mean, low, high))
    return found


def draw(curves: list[TuningCurve]) -> Iterator[Plot]:
    """One plot of all curves of a metric."""
    from analysis.plots.tuning import draw_tuning_curves

    for metric in dict.fromkeys(curve.metric for curve in curves):
        chosen = [curve for curve in curves if curve.metric == metric]
        counts = ", ".join(f"{curve.n_trials:,} of {curve.name}" for curve in chosen)
        caption = (
            f"Expected best {METRIC_NAMES[metric]} of n random trials, with 95 % bootstrap bands "
            f"over the trials ({counts}, all studies together). Shown up to one sixth of the "
            "trials: beyond, the band would say no more than the best that was seen."
        )
        figure = draw_tuning_curves(chosen, METRIC_NAMES[metric])
        yield Plot(f"tuning-{metric.replace('_', '-')}", "Tuning curves", caption, figure)


def build_table(curves: list[TuningCurve]) -> Table | None:
    """The curves in numbers; None without any."""
    if not curves:
        return None
    records, texts = [], []
    for curve in curves:
        for index in range(len(curve.mean)):
            mean, low, high = (float(part[index]) for part in (curve.mean, curve.low, curve.high))
            digits = 2 if curve.metric == "validation_nelbo" else 4
            record = {"Model": curve.name, "Trials": index + 1}
            records.append(record | {"mean": mean, "low": low, "high": high})
            best = f"{format_number(mean, digits)} {format_interval(low, high, digits)}"
            texts.append(record | {"Expected best": best})
    return Table(
        "best-of-budget",
        "The best of a budget",
        "Expected best validation score of so many random trials, with a 95 % bootstrap interval.",
        pd.DataFrame(texts).astype(str),
        pd.DataFrame(records),
    )
