"""Whether ours reproduce a printed figure: a verdict for each figure and each arm of ours, in words
with a reason.

What summary numbers allow, and what is claimed here:

- *reproduced within 0.5 nats*: the two means are equivalent, by two one-sided Welch tests with a margin that stands in
  references.yaml. That a test finds no difference reproduces nothing, as too few runs find none either.
- *differs by …*: Welch's test from n, mean and SD (SE · √n where an SE was printed). Where the means differ and yet are
  equivalent, both is said.
- *no difference shown*: neither; with the smallest difference that these runs would have shown, at 80 % power.
- *single run*: one printed run has no spread to test with. It lies inside our 95 % prediction interval of one more run,
  or outside; inside, nothing speaks against it, and nothing is reproduced either.
- *too few seeds*, *too few runs of theirs*: below 5 of ours, and from 2 to 4 of theirs, there is no verdict: a test
  from 2 of theirs would be wrong 10 times in 100.
- *cannot be compared*: all reasons for which a test would not be one of this figure.

The tested figures of one table on one evaluation set are one family: both p are Holm's over it, the
95 % intervals are not adjusted. Differences are ours − theirs, in nats or percentage points.
"""

import numpy as np
import pandas as pd

from analysis.frames.arm_table import records
from analysis.rendering.numbers import chance, number
from analysis.reproduction.matching import candidates, counterparts
from analysis.reproduction.references import References
from analysis.stats import power, summary_tests
from analysis.stats.multiplicity import adjusted
from analysis.stats.thresholds import ALPHA, FEW

NUMBERS = ("difference", "low", "high", "p", "p_adjusted", "p_equivalence", "detectable")


def verdicts(rows: pd.DataFrame, references: References) -> pd.DataFrame:
    """Results table -> a row for each printed figure and arm of ours that stands beside it.

    Columns: table, evaluation, reference, model, supervision, metric (column of the results table),
    unit, arm; n, mean, sd of ours; their_n, their_mean, their_sd, margin, comparisons, `NUMBERS`,
    prediction_low, prediction_high, verdict ("reproduced", "differs", "no difference shown",
    "single run", "too few seeds", "too few runs of theirs", "cannot be compared"), text. p,
    p_equivalence: Welch's two-sided p, and the larger of the two one-sided ones, Holm-adjusted as
    p_adjusted is.
    """
    ours = candidates(rows, references)
    families = [
        counterparts(shown, evaluation, ours, references)
        for shown in references.tables
        for evaluation in shown.evaluations
    ]
    return pd.concat([judged(family) for family in families if len(family)], ignore_index=True)


def judged(pairs: pd.DataFrame) -> pd.DataFrame:
    """`counterparts` of one family -> the same rows with their tests and verdicts."""
    pairs = pairs.assign(**dict.fromkeys((*NUMBERS, "prediction_low", "prediction_high"), np.nan))
    kinds = np.select(
        [pairs["reasons"] != "", pairs["n"] < FEW, pairs["their_n"] == 1, pairs["their_n"] < FEW],
        ["cannot be compared", "too few seeds", "single run", "too few runs of theirs"],
        "tested",
    )
    pairs = _predicted(_tested(pairs, kinds == "tested"), kinds == "single run")
    pairs["verdict"] = np.where(kinds == "tested", _outcome(pairs), kinds)
    pairs["text"] = [_said(pair) for pair in records(pairs)]
    return pairs.drop(columns=["reasons", "flags", "printed"])


def _tested(pairs: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
    pairs["comparisons"] = int(which.sum())
    if not which.any():
        return pairs
    ours, theirs = (_numbers(pairs[which], prefix) for prefix in ("", "their_"))
    margin = pairs.loc[which, "margin"].to_numpy()
    low, high = summary_tests.interval(ours, theirs)
    p = summary_tests.different(ours, theirs)
    detectable = power.detectable(
        summary_tests.error(ours, theirs),
        summary_tests.freedom(ours, theirs),
        np.full(len(p), ALPHA / len(p)),
    )
    same = np.where(
        np.isnan(margin),
        np.nan,
        adjusted(summary_tests.equivalent(ours, theirs, np.nan_to_num(margin)), "holm"),
    )
    columns = (ours.mean - theirs.mean, low, high, p, adjusted(p, "holm"), same, detectable)
    pairs.loc[which, list(NUMBERS)] = np.column_stack(columns)
    return pairs


def _predicted(pairs: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
    low, high = summary_tests.one_more(_numbers(pairs[which], ""))
    pairs.loc[which, ["prediction_low", "prediction_high"]] = np.column_stack([low, high])
    return pairs


def _numbers(pairs: pd.DataFrame, prefix: str) -> summary_tests.Numbers:
    mean, sd = (pairs[f"{prefix}{name}"].to_numpy(dtype=np.float64) for name in ("mean", "sd"))
    return summary_tests.Numbers(pairs[f"{prefix}n"].to_numpy(dtype=np.int64), mean, sd)


def _outcome(pairs: pd.DataFrame) -> np.ndarray:
    outcomes = [pairs["p_equivalence"] <= ALPHA, pairs["p_adjusted"] <= ALPHA]
    return np.select(outcomes, ["reproduced", "differs"], "no difference shown")


def _said(pair: pd.Series) -> str:
    """A verdict in words: what, by how much, by which test, of how many runs."""
    if pair["verdict"] == "single run":
        parts = [_one_run(pair), pair["flags"]]
    elif pair["verdict"] == "too few runs of theirs":
        parts = [
            f"{pair['verdict']}: {pair['their_n']:.0f} of theirs, a verdict takes {FEW}",
            pair["flags"],
        ]
    elif pair["verdict"] in ("cannot be compared", "too few seeds"):
        few = f"{pair['n']} of ours, a verdict takes {FEW}"
        single = "theirs is a single run" if pair["their_n"] == 1 else ""
        parts = [f"{pair['verdict']}: {pair['reasons'] or few}", single, pair["flags"]]
    else:
        parts = [_test(pair), pair["flags"]]
    return "; ".join(filter(None, parts))


def _one_run(pair: pd.Series) -> str:
    inside = pair["prediction_low"] <= pair["their_mean"] <= pair["prediction_high"]
    where, so = (
        ("inside", "neither reproduced nor contradicted")
        if inside
        else ("outside", "not to be expected of ours")
    )
    bounds = f"[{pair['prediction_low']:.2f}, {pair['prediction_high']:.2f}]"
    ours = f"our 95 % prediction interval of one run {bounds}, n = {pair['n']}"
    return f"single run: {pair['printed']} lies {where} {ours}: {so}"


def _test(pair: pd.Series) -> str:
    unit = "points" if pair["unit"] == "%" else pair["unit"]
    difference, low, high = (number(pair[name], 2) for name in ("difference", "low", "high"))
    by = f"{difference} {unit} [{low}, {high}]"
    family = (
        f"Holm, {pair['comparisons']} comparisons" if pair["comparisons"] > 1 else "one comparison"
    )
    how = (
        f"Welch from summary numbers, n = {pair['n']} and {pair['their_n']:.0f}, "
        f"{chance(pair['p_adjusted'])}, {family}"
    )
    within = f"within {pair['margin']:g} {unit}"
    if pair["verdict"] == "reproduced":
        yet = "yet differs by" if pair["p_adjusted"] <= ALPHA else "difference"
        return (
            f"reproduced {within} (equivalence: {chance(pair['p_equivalence'])}); {yet} {by} "
            f"({how})"
        )
    if pair["verdict"] == "differs":
        return f"differs by {by} ({how})"
    margin = "no margin is stated" if np.isnan(pair["margin"]) else f"not reproduced {within}"
    return (
        f"no difference shown: {by} ({how}); smallest detectable: {pair['detectable']:.2f} "
        f"{unit}; {margin}"
    )
