"""Decide whether our arms reproduce printed values: a verdict with its reason for each.

A printed value has a mean, n, and an SD or SE at most. The verdicts are:

- *reproduced within 0.5 nats*: the two means are equivalent, by two one-sided Welch tests with the
  margin of references.yaml. The lack of a significant difference alone reproduces nothing, as too
  few runs find none either.
- *differs by …*: Welch's test from n, mean and SD (SE · √n if an SE was printed). Means that differ
  and are equivalent are reported as both.
- *no difference shown*: neither of the two; with the smallest difference that these runs would have
  shown with 80 % power.
- *single run*: one printed run has no spread to test with. It is inside or outside our 95 %
  prediction interval of one more run; inside, it neither contradicts nor reproduces.
- *too few seeds*, *too few runs of theirs*: below 5 of ours, or 2 to 4 of theirs, there is no
  verdict: a test with 2 of theirs would be wrong 10 times in 100.
- *cannot be compared*: with all reasons why a test would not be one of this value.

The tested values of one table on one evaluation set are a family: both p are Holm-adjusted over it,
the 95 % intervals are not adjusted. Differences are ours − theirs, in nats or percentage points.
"""

import numpy as np
import pandas as pd

from analysis.comparison.verdict import decide, format_amount, introduce_difference
from analysis.frames.arm_table import Row, list_rows
from analysis.frames.metrics import METRIC_BY_COLUMN
from analysis.rendering.numbers import format_interval, format_p
from analysis.reproduction.matching import match_printed_values
from analysis.reproduction.references import References
from analysis.stats import power, summary_tests
from analysis.stats.multiplicity import adjust_p_values
from analysis.stats.thresholds import ALPHA, MIN_SEEDS

OUTCOMES = {
    "equivalent": "reproduced",
    "different": "differs",
    "no difference shown": "no difference shown",
}
TEST_COLUMNS = ("difference", "low", "high", "p", "p_adjusted", "p_equivalence", "detectable")


def compute_verdicts(ours: pd.DataFrame, references: References) -> pd.DataFrame:
    """`select_candidates` -> a row for each printed value and each arm of ours that matches it.

    Columns: table, evaluation, reference, model, supervision, metric (column of the results table),
    unit, arm; n, mean, sd of ours; their_n, their_mean, their_sd, margin, comparisons,
    `TEST_COLUMNS`, prediction_low, prediction_high, verdict (see the module), text. p is Welch's
    two-sided p; p_equivalence, the larger of the two one-sided ones, is Holm-adjusted.
    """
    families = [
        match_printed_values(table, evaluation, ours, references)
        for table in references.tables
        for evaluation in table.evaluations
    ]
    return pd.concat(
        [compute_family_verdicts(family) for family in families if len(family)], ignore_index=True
    )


def compute_family_verdicts(pairs: pd.DataFrame) -> pd.DataFrame:
    """`match_printed_values` of one family -> the same rows with tests and verdicts."""
    pairs = pairs.assign(
        **dict.fromkeys((*TEST_COLUMNS, "prediction_low", "prediction_high"), np.nan)
    )
    kinds = np.select(
        [
            pairs["reasons"] != "",
            pairs["n"] < MIN_SEEDS,
            pairs["their_n"] == 1,
            pairs["their_n"] < MIN_SEEDS,
        ],
        ["cannot be compared", "too few seeds", "single run", "too few runs of theirs"],
        "tested",
    )
    pairs = _add_prediction_intervals(_run_tests(pairs, kinds == "tested"), kinds == "single run")
    outcomes = [
        OUTCOMES[decide(p, p_equivalence)]
        for p, p_equivalence in pairs[["p_adjusted", "p_equivalence"]].to_numpy()
    ]
    pairs["verdict"] = np.where(kinds == "tested", outcomes, kinds)
    pairs["text"] = [_describe_verdict(pair) for pair in list_rows(pairs)]
    return pairs.drop(columns=["reasons", "flags", "printed"])


def _run_tests(pairs: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
    pairs["comparisons"] = int(which.sum())
    if not which.any():
        return pairs
    ours, theirs = (_collect_numbers(pairs[which], prefix) for prefix in ("", "their_"))
    margin = pairs.loc[which, "margin"].to_numpy()
    test = summary_tests.welch_test(ours, theirs)
    p = test.p
    detectable = power.detectable_difference(test.se, test.df, np.full(len(p), ALPHA / len(p)))
    p_equivalence = np.where(
        np.isnan(margin),
        np.nan,
        adjust_p_values(test.tost_p(np.nan_to_num(margin)), "holm"),
    )
    columns = (
        test.difference,
        *test.interval,
        p,
        adjust_p_values(p, "holm"),
        p_equivalence,
        detectable,
    )
    pairs.loc[which, list(TEST_COLUMNS)] = np.column_stack(columns)
    return pairs


def _add_prediction_intervals(pairs: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
    low, high = summary_tests.prediction_interval(_collect_numbers(pairs[which], ""))
    pairs.loc[which, ["prediction_low", "prediction_high"]] = np.column_stack([low, high])
    return pairs


def _collect_numbers(pairs: pd.DataFrame, prefix: str) -> summary_tests.SampleSummary:
    mean, sd = (pairs[f"{prefix}{name}"].to_numpy(dtype=np.float64) for name in ("mean", "sd"))
    return summary_tests.SampleSummary(pairs[f"{prefix}n"].to_numpy(dtype=np.int64), mean, sd)


def _describe_verdict(pair: Row) -> str:
    """A verdict in words: by how much, by which test, of how many runs."""
    if pair["verdict"] == "single run":
        parts = [_describe_single_run(pair), pair["flags"]]
    elif pair["verdict"] == "too few runs of theirs":
        parts = [
            f"{pair['verdict']}: {pair['their_n']:.0f} of theirs, a verdict takes {MIN_SEEDS}",
            pair["flags"],
        ]
    elif pair["verdict"] in ("cannot be compared", "too few seeds"):
        few = f"{pair['n']} of ours, a verdict takes {MIN_SEEDS}"
        single = "theirs is a single run" if pair["their_n"] == 1 else ""
        parts = [f"{pair['verdict']}: {pair['reasons'] or few}", single, pair["flags"]]
    else:
        parts = [_describe_test(pair), pair["flags"]]
    return "; ".join(filter(None, parts))


def _describe_single_run(pair: Row) -> str:
    inside = pair["prediction_low"] <= pair["their_mean"] <= pair["prediction_high"]
    where, conclusion = (
        ("inside", "neither reproduced nor contradicted")
        if inside
        else ("outside", "not to be expected of ours")
    )
    bounds = format_interval(pair["prediction_low"], pair["prediction_high"])
    ours = f"our 95 % prediction interval of one run {bounds}, n = {pair['n']}"
    return f"single run: {pair['printed']} lies {where} {ours}: {conclusion}"


def _describe_test(pair: Row) -> str:
    metric = METRIC_BY_COLUMN[pair["metric"]]
    unit = metric.difference_unit
    by = format_amount(pair["difference"], (pair["low"], pair["high"]), metric, 2)
    family = (
        f"Holm, {pair['comparisons']} comparisons" if pair["comparisons"] > 1 else "one comparison"
    )
    test = (
        f"Welch from summary numbers, n = {pair['n']} and {pair['their_n']:.0f}, "
        f"{format_p(pair['p_adjusted'])}, {family}"
    )
    within = f"within {pair['margin']:g} {unit}"
    if pair["verdict"] == "reproduced":
        yet = introduce_difference(True, pair["p_adjusted"])
        return (
            f"reproduced {within} (equivalence: {format_p(pair['p_equivalence'])}); {yet} {by} "
            f"({test})"
        )
    if pair["verdict"] == "differs":
        return f"differs by {by} ({test})"
    margin = "no margin is stated" if np.isnan(pair["margin"]) else f"not reproduced {within}"
    return (
        f"no difference shown: {by} ({test}); smallest detectable: {pair['detectable']:.2f} "
        f"{unit}; {margin}"
    )
