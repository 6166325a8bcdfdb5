"""Whether values go one way with something that has an order, such as β or a number of labels, and how fast."""

from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from analysis.comparison import verdict
from analysis.frames.metrics import Metric
from analysis.sections.caveats import FEW
from analysis.stats.differences import Floats, paired
from analysis.stats.multiplicity import ALPHA

EXACT = 8  # steps up to which all orders are tried: 40,320
TREND = ["trend", "trend_p", "slope", "slope_low", "slope_high", "slope_p", "trend_n", "trend_text"]


def trend(values: Floats, steps: Floats, metric: Metric, of: str) -> dict[str, Any]:
    """Values (steps, seeds), nan where there is none, at the steps (steps,) of what is called `of` -> `TREND` by name.

    trend is "rises", "falls", "none shown" or "too few seeds"; trend_p that of Page's test, both directions; the slope
    is per doubling of the step, with its 95 % interval and p over the trend_n seeds that have a value at every step.
    """
    whole = values[:, np.isfinite(values).all(axis=0)].T
    nothing = dict.fromkeys(("trend_p", "slope", "slope_low", "slope_high", "slope_p"), np.nan)
    if len(whole) < FEW or len(steps) < 2:
        return {"trend": "too few seeds", **nothing, "trend_n": len(whole), "trend_text": _few(whole, of)}
    found = _tested(whole, steps)
    direction = found.pop("direction")
    word = "none shown" if not found["trend_p"] <= ALPHA else "rises" if direction > 0 else "falls"
    return {"trend": word, **found, "trend_n": len(whole), "trend_text": _text(word, found, whole, metric, of)}


def page(values: Floats) -> tuple[float, float]:
    """Values (seeds, steps in order) -> p of a trend up or down, and 1 or -1: Page (1963), J. Am. Stat. Assoc. 58:216.

    p is the smaller of the two one-sided p-values, doubled. It is that of all orders of each seed's own ranks, ties and
    all: exact up to `EXACT` steps, above by the normal law with the mean and variance over these orders.
    """
    apart = np.round(values, 12)  # differences of fractions that are equal but for rounding are ties
    ranks = np.round(2 * rankdata(apart, axis=1)).astype(int)  # doubled, so that ties have whole ones too
    steps = np.arange(1, values.shape[1] + 1)
    seen = int((ranks @ steps).sum())
    up, down = _exact(ranks, seen) if len(steps) <= EXACT else _normal(ranks, seen)
    return min(1.0, 2 * min(up, down)), 1.0 if up <= down else -1.0


def _exact(ranks: NDArray[np.int64], seen: int) -> tuple[float, float]:
    """p of an L as large, and of one as small, as seen, over all orders of each seed's ranks: ranks (seeds, steps)."""
    law = np.ones(1)
    for row in ranks:
        law = np.convolve(law, _law(tuple(sorted(row))))
    return float(law[seen:].sum()), float(law[: seen + 1].sum())


@cache
def _law(ranks: tuple[int, ...]) -> Floats:
    """The chance of each L, from 0 on, that one seed with these ranks can have: (largest L + 1,)."""
    orders = np.array(list(permutations(ranks)))
    counts = np.bincount(orders @ np.arange(1, len(ranks) + 1))
    return np.asarray(counts / counts.sum())


def _normal(ranks: NDArray[np.int64], seen: int) -> tuple[float, float]:
    steps = np.arange(1, ranks.shape[1] + 1)
    mean = ranks.sum() * steps.mean()
    variance = (np.var(ranks, axis=1) * steps.size).sum() * np.var(steps) * steps.size / (steps.size - 1)
    z = (seen - mean) / np.sqrt(variance) if variance else 0.0
    return float(ndtr(-z)), float(ndtr(z))


def slopes(values: Floats, steps: Floats) -> Floats:
    """Values (seeds, steps), steps (steps,) -> the least-squares slope per doubling of each seed: (seeds,)."""
    doublings = np.log2(steps) - np.log2(steps).mean()
    return np.asarray(values @ doublings / (doublings @ doublings))


def _tested(values: Floats, steps: Floats) -> dict[str, float]:
    """Page's p and the mean slope per doubling over the seeds: values (seeds, steps), steps (steps,)."""
    per_seed = slopes(values, steps)[None]
    found = paired(per_seed, np.zeros_like(per_seed))
    ends = {"slope": found.difference, "slope_low": found.low, "slope_high": found.high, "slope_p": found.p}
    p, direction = page(values) if len(steps) > 2 else (float(found.p[0]), float(found.difference[0]))
    return {"trend_p": p, "direction": direction, **{name: float(value[0]) for name, value in ends.items()}}


def _few(values: Floats, of: str) -> str:
    if values.shape[1] < 2:
        return f"too few values of {of} for a trend"
    return f"too few seeds for a trend ({len(values)} have a result throughout, no verdict below {FEW})"


def _text(word: str, found: dict[str, float], values: Floats, metric: Metric, of: str) -> str:
    slope, low, high = (verdict.number(found[name] * metric.factor, 2) for name in ("slope", "slope_low", "slope_high"))
    said = f"{slope} {verdict.unit(metric)} [{low}, {high}] per doubling of {of}"
    test = "paired t" if values.shape[1] == 2 else "Page's trend test"
    shown = {"none shown": "no trend shown"}.get(word, f"{word} with {of}")
    return f"{shown}: {said}, {test}, n = {len(values)}, {verdict.chance(found['trend_p'])}{_against(word, found)}"


def _against(word: str, found: dict[str, float]) -> str:
    """Where the slope tells otherwise than the ranks, which one run far from the others can bring about."""
    low, high = found["slope_low"], found["slope_high"]
    slope = "rises" if low > 0 else "falls" if high < 0 else "none shown"
    if slope == word:
        return ""
    told = "the slope's interval holds 0" if slope == "none shown" else f"the slope {slope}"
    return f"; the ranks and the mean slope disagree: {told}"
