"""Whether a metric goes one way with β or a number of labels: the test, the slope, and both in
words.
"""

from typing import Any

import numpy as np

from analysis.comparison import verdict
from analysis.frames.metrics import Metric
from analysis.rendering import numbers
from analysis.stats.differences import Floats, paired
from analysis.stats.thresholds import ALPHA, FEW
from analysis.stats.trend_tests import page, slopes

TREND = ["trend", "trend_p", "slope", "slope_low", "slope_high", "slope_p", "trend_n", "trend_text"]


def trend(values: Floats, steps: Floats, metric: Metric, of: str) -> dict[str, Any]:
    """Values (steps, seeds), nan where there is none, at the steps (steps,) of what is called `of`
    -> `TREND` by name.

    trend is "rises", "falls", "none shown" or "too few seeds"; trend_p that of Page's test, both
    directions; the slope is per doubling of the step, with its 95 % interval and p over the trend_n
    seeds that have a value at every step.
    """
    whole = values[:, np.isfinite(values).all(axis=0)].T
    nothing = dict.fromkeys(("trend_p", "slope", "slope_low", "slope_high", "slope_p"), np.nan)
    if len(whole) < FEW or len(steps) < 2:
        return {
            "trend": "too few seeds",
            **nothing,
            "trend_n": len(whole),
            "trend_text": _few(whole, of),
        }
    found = _tested(whole, steps)
    direction = found.pop("direction")
    word = "none shown" if not found["trend_p"] <= ALPHA else "rises" if direction > 0 else "falls"
    return {
        "trend": word,
        **found,
        "trend_n": len(whole),
        "trend_text": _text(word, found, whole, metric, of),
    }


def _tested(values: Floats, steps: Floats) -> dict[str, float]:
    """Page's p and the mean slope per doubling over the seeds: values (seeds, steps), steps
    (steps,).
    """
    per_seed = slopes(values, steps)[None]
    found = paired(per_seed, np.zeros_like(per_seed))
    ends = {
        "slope": found.difference,
        "slope_low": found.low,
        "slope_high": found.high,
        "slope_p": found.p,
    }
    p, direction = (
        page(values) if len(steps) > 2 else (float(found.p[0]), float(found.difference[0]))
    )
    return {
        "trend_p": p,
        "direction": direction,
        **{name: float(value[0]) for name, value in ends.items()},
    }


def _few(values: Floats, of: str) -> str:
    if values.shape[1] < 2:
        return f"too few values of {of} for a trend"
    return (
        f"too few seeds for a trend ({len(values)} have a result throughout, no verdict below "
        f"{FEW})"
    )


def _text(word: str, found: dict[str, float], values: Floats, metric: Metric, of: str) -> str:
    slope, low, high = (
        numbers.number(found[name] * metric.factor, 2)
        for name in ("slope", "slope_low", "slope_high")
    )
    said = f"{slope} {verdict.unit(metric)} [{low}, {high}] per doubling of {of}"
    test = "paired t" if values.shape[1] == 2 else "Page's trend test"
    shown = {"none shown": "no trend shown"}.get(word, f"{word} with {of}")
    return (
        f"{shown}: {said}, {test}, n = {len(values)}, "
        f"{numbers.chance(found['trend_p'])}{_against(word, found)}"
    )


def _against(word: str, found: dict[str, float]) -> str:
    """Where the slope tells otherwise than the ranks, which one run far from the others can bring
    about.
    """
    low, high = found["slope_low"], found["slope_high"]
    slope = "rises" if low > 0 else "falls" if high < 0 else "none shown"
    if slope == word:
        return ""
    told = "the slope's interval holds 0" if slope == "none shown" else f"the slope {slope}"
    return f"; the ranks and the mean slope disagree: {told}"
