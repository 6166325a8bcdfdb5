"""Trend of a metric over β or the number of labels: test, slope and their wording."""

from typing import Any

import numpy as np

from analysis.comparison.verdict import format_amount
from analysis.frames.metrics import Metric
from analysis.rendering.numbers import format_p
from analysis.stats.differences import Floats, paired
from analysis.stats.thresholds import ALPHA, MIN_SEEDS
from analysis.stats.trend_tests import page_trend, slopes

TREND_COLUMNS = [
    "trend",
    "trend_p",
    "slope",
    "slope_low",
    "slope_high",
    "slope_p",
    "trend_n",
    "trend_text",
]


def estimate_trend(values: Floats, steps: Floats, metric: Metric, variable: str) -> dict[str, Any]:
    """Values (steps, seeds), nan where there is none, and steps (steps,) -> `TREND_COLUMNS`.

    variable: what the steps are called in the text. trend is "rises", "falls", "none shown" or "too
    few seeds". trend_p is the two-sided p of Page's test, with two steps that of the paired t. The
    slope is per doubling of the step, with its 95 % interval and p over the trend_n seeds that have
    a value at every step.
    """
    complete = values[:, np.isfinite(values).all(axis=0)].T
    no_result = dict.fromkeys(("trend_p", "slope", "slope_low", "slope_high", "slope_p"), np.nan)
    if len(complete) < MIN_SEEDS or len(steps) < 2:
        return {
            "trend": "too few seeds",
            **no_result,
            "trend_n": len(complete),
            "trend_text": _too_few_text(complete, variable),
        }
    statistics = _trend_statistics(complete, steps)
    direction = statistics.pop("direction")
    outcome = (
        "none shown"
        if not statistics["trend_p"] <= ALPHA
        else "rises"
        if direction > 0
        else "falls"
    )
    return {
        "trend": outcome,
        **statistics,
        "trend_n": len(complete),
        "trend_text": _trend_text(outcome, statistics, complete, metric, variable),
    }


def _trend_statistics(values: Floats, steps: Floats) -> dict[str, float]:
    """The trend's p and direction and the mean slope: values (seeds, steps), steps (steps,)."""
    per_seed = slopes(values, steps)[None]
    result = paired(per_seed, np.zeros_like(per_seed))
    slope_statistics = {
        "slope": result.difference,
        "slope_low": result.low,
        "slope_high": result.high,
        "slope_p": result.p,
    }
    p, direction = (
        page_trend(values) if len(steps) > 2 else (float(result.p[0]), float(result.difference[0]))
    )
    return {
        "trend_p": p,
        "direction": direction,
        **{name: float(value[0]) for name, value in slope_statistics.items()},
    }


def _too_few_text(values: Floats, variable: str) -> str:
    if values.shape[1] < 2:
        return f"too few values of {variable} for a trend"
    return (
        f"too few seeds for a trend ({len(values)} have a result throughout, no verdict below "
        f"{MIN_SEEDS})"
    )


def _trend_text(
    outcome: str, statistics: dict[str, float], values: Floats, metric: Metric, variable: str
) -> str:
    slope, low, high = (
        statistics[name] * metric.factor for name in ("slope", "slope_low", "slope_high")
    )
    slope_text = f"{format_amount(slope, (low, high), metric, 2)} per doubling of {variable}"
    test = "paired t" if values.shape[1] == 2 else "Page's trend test"
    direction_text = {"none shown": "no trend shown"}.get(outcome, f"{outcome} with {variable}")
    return (
        f"{direction_text}: {slope_text}, {test}, n = {len(values)}, "
        f"{format_p(statistics['trend_p'])}{_disagreement_text(outcome, statistics)}"
    )


def _disagreement_text(outcome: str, statistics: dict[str, float]) -> str:
    """Text if slope and ranks disagree, which one run far from the others can cause."""
    low, high = statistics["slope_low"], statistics["slope_high"]
    slope = "rises" if low > 0 else "falls" if high < 0 else "none shown"
    if slope == outcome:
        return ""
    slope_text = "the slope's interval holds 0" if slope == "none shown" else f"the slope {slope}"
    return f"; the ranks and the mean slope disagree: {slope_text}"
