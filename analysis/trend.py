"""What β does: each β against β = 1, and the trend over them.

The bound is scored at β = 1 whatever was trained, so it is best near β = 1 and worsens with the distance: its trend is
asked over β ≥ 1. The KL falls and the reconstruction loss rises with β throughout: theirs is over all β.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis import arm, compare, verdict
from analysis.difference import Floats, paired
from analysis.family import ALPHA
from analysis.metrics import BY_COLUMN, Metric
from analysis.notes import FEW
from harness.grid import Compare
from harness.schema import ARM

RISING = ("kl", "rec")  # what β moves one way throughout
TREND = ["trend", "trend_p", "slope", "slope_low", "slope_high", "slope_p", "trend_n", "trend_betas", "trend_text"]
EXTRA = ["group", "beta", "p_dunnett", *TREND]


def trends(rows: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """Results table with `arm` -> one row a group of arms that differ in β alone, metric and β other than 1.

    The columns of `compare.COLUMNS` (a is β, b is β = 1; the family are the β of the group), then group, beta,
    p_dunnett (where no seeds are shared), and the group's trend: "rises", "falls", "none shown" or "too few seeds",
    trend_p (Page's test, both directions), and the slope per doubling of β with its 95 % interval and p over trend_n
    seeds.
    """
    arms = arm.facts(rows)
    found = [
        _group(rows, arms, group, BY_COLUMN[column], how)
        for group in _groups(arms)
        for column in dict.fromkeys(how.metrics)
    ]
    held = [table for table in found if len(table)]
    return pd.concat(held, ignore_index=True) if held else pd.DataFrame(columns=[*compare.COLUMNS, *EXTRA])


def page(values: Floats) -> tuple[float, float]:
    """Values (seeds, ordered β) -> p of a trend up or down, and 1 or -1: Page (1963), J. Am. Stat. Assoc. 58:216.

    p is the smaller of the two one-sided p-values, doubled.
    """
    from scipy.stats import page_trend_test

    with np.errstate(all="ignore"):
        one_sided = [page_trend_test(side).pvalue for side in (values, values[:, ::-1])]
    return min(1.0, 2 * float(min(one_sided))), 1.0 if one_sided[0] <= one_sided[1] else -1.0


def slopes(values: Floats, betas: Floats) -> Floats:
    """Values (seeds, β), betas (β,) -> the least-squares slope per doubling of β of each seed: (seeds,)."""
    doublings = np.log2(betas) - np.log2(betas).mean()
    return np.asarray(values @ doublings / (doublings @ doublings))


def dunnett(arms: list[Floats], control: Floats) -> Floats:
    """Samples of independent seeds, and of the control -> p of each against it, corrected for one another: (arms,).

    Dunnett (1955), J. Am. Stat. Assoc. 50:1096.
    """
    from scipy.stats import dunnett as test

    return np.asarray(test(*arms, control=control, rng=np.random.default_rng(0)).pvalue)  # the seed of its integration


def _groups(arms: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Arms that differ in β alone, in the order of β, where β = 1 and another are among them."""
    bounded = arms[arms["supervision"] != "supervised"]
    for _, group in bounded.groupby([column for column in ARM if column != "beta"], sort=False):
        if len(group) > 1 and (group["beta"] == 1).sum() == 1:
            yield group.sort_values("beta")


def _group(rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, metric: Metric, how: Compare) -> pd.DataFrame:
    """One group and metric: its comparisons with β = 1, and its trend."""
    control = str(group.index[group["beta"] == 1][0])
    others = [str(name) for name in group.index if name != control]
    only = how.model_copy(update={"metrics": [metric.column]})
    table = compare.judged(rows, arms, [(name, control) for name in others], only)
    if table.empty:
        return table
    values = compare.values(rows, arms, metric)[arms.index.get_indexer(group.index)]
    against = group.index.get_indexer(pd.Index(table["a"]))
    table = table.assign(group=_name(group), beta=group["beta"].to_numpy()[against])
    table = table.assign(p_dunnett=_dunnett(table, values, against, group.index.get_loc(control)))
    return table.assign(**_trend(values, group["beta"].to_numpy(dtype=float), metric))


def _name(group: pd.DataFrame) -> str:
    first = group.iloc[0]
    kind = "" if first["supervision"] == "none" else f" {first['supervision']}"
    return f"{first['model']}{kind}, {first['dataset']}"


def _dunnett(table: pd.DataFrame, values: Floats, against: np.ndarray, control: object) -> Floats:
    """p of Dunnett's test where no seeds are shared and all arms have enough of them, else nan: (comparisons,)."""
    samples = [row[np.isfinite(row)] for row in values]
    if not (table["design"] == "welch").all() or min(map(len, samples)) < FEW or min(map(np.ptp, samples)) == 0:
        return np.full(len(table), np.nan)
    return dunnett([samples[place] for place in against], samples[int(str(control))])


def _trend(values: Floats, betas: Floats, metric: Metric) -> dict[str, Any]:
    """The columns `TREND` of one group: values (β, seeds), betas (β,) in order."""
    kept = np.isfinite(values).any(axis=1) & ((betas >= 1) | (metric.name in RISING))
    whole = values[kept][:, np.isfinite(values[kept]).all(axis=0)].T
    said = {"trend_n": len(whole), "trend_betas": ", ".join(f"{beta:g}" for beta in betas[kept])}
    nothing = dict.fromkeys(("trend_p", "slope", "slope_low", "slope_high", "slope_p"), np.nan)
    if len(whole) < FEW or kept.sum() < 2:
        return {"trend": "too few seeds", **nothing, **said, "trend_text": _few(len(whole), int(kept.sum()))}
    found = _tested(whole, betas[kept])
    direction = found.pop("direction")
    trend = "none shown" if not found["trend_p"] <= ALPHA else "rises" if direction > 0 else "falls"
    text = _text(trend, found, len(whole), len(betas[kept]), metric)
    return {"trend": trend, **found, **said, "trend_text": text}


def _tested(values: Floats, betas: Floats) -> dict[str, float]:
    """Page's p and the mean slope per doubling of β over the seeds: values (seeds, β), betas (β,)."""
    per_seed = slopes(values, betas)[None]
    found = paired(per_seed, np.zeros_like(per_seed))
    ends = {"slope": found.difference, "slope_low": found.low, "slope_high": found.high, "slope_p": found.p}
    p, direction = page(values) if len(betas) > 2 else (float(found.p[0]), float(found.difference[0]))
    return {"trend_p": p, "direction": direction, **{name: float(value[0]) for name, value in ends.items()}}


def _few(seeds: int, betas: int) -> str:
    if betas < 2:
        return "too few β for a trend"
    return f"too few seeds for a trend ({seeds} have a result at every β, no verdict below {FEW})"


def _text(trend: str, found: dict[str, float], seeds: int, betas: int, metric: Metric) -> str:
    slope, low, high = (verdict.number(found[name] * metric.factor, 2) for name in ("slope", "slope_low", "slope_high"))
    said = f"{slope} {verdict.unit(metric)} [{low}, {high}] per doubling of β"
    test = "paired t" if betas == 2 else "Page's trend test"
    word = {"none shown": "no trend shown"}.get(trend, f"{trend} with β")
    return f"{word}: {said}, {test}, n = {seeds}, {verdict.chance(found['trend_p'])}"
