"""Which arms are compared with which, how their seeds are matched, and what keeps two from being
compared.

Pairs or not is read from the rows. The cells of two arms with the same seed depend on each other as
soon as the seed drives one purpose in both (`seeded`: weights, order, ...). Then Welch's test,
which takes the arms for independent, does not apply, while the test of the pairs holds whatever
share of the randomness is common: two models of different shape, or an arm whose labels are drawn
by the seed against one with the same labels for every seed, are paired as well, and the latter is
flagged. Welch's test is taken where the seeds drive nothing in common or that is not recorded, and
where two arms of five seeds or more share fewer than five.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from analysis.frames import number_kinds
from analysis.frames.arm_table import format_filter, select_arms
from analysis.frames.metrics import ACCURACY, NLL, Metric
from analysis.stats.thresholds import MIN_SEEDS
from harness.errors import InputError
from harness.experiment.cell import Setting
from harness.experiment.grid import ComparisonSpec
from harness.experiment.metrics import BOUND_METRICS

Arm = Mapping[Any, Any]
DESIGNS = ("paired", "welch")


def choose_pairs(arms: pd.DataFrame, declared: ComparisonSpec) -> list[tuple[str, str]]:
    """`arm.facts` -> names (a, b) of the arms to compare, within a data set; a comes after b, or b
    is the baseline.
    """
    chosen_pairs: list[tuple[str, str]] = []
    for _, group in arms.groupby("dataset", sort=False):
        if declared.baseline:
            baseline = _baseline_arm(group, declared.baseline)
            chosen_pairs += [(str(name), baseline) for name in group.index if name != baseline]
        else:
            chosen_pairs += [(str(a), str(b)) for b, a in combinations(group.index, 2)]
    return chosen_pairs


def _baseline_arm(arms: pd.DataFrame, arm_filter: dict[str, Setting]) -> str:
    names = list(select_arms(arms, arm_filter).index)
    if len(names) != 1:
        matches = f"{', '.join(names) or 'none'} of the arms {', '.join(arms.index)}"
        raise InputError(
            f"the baseline {format_filter(arm_filter)} is {matches}; expected exactly one"
        )
    return str(names[0])


def can_have_metric(arms: pd.DataFrame, metric: Metric, n_scored: pd.Series) -> pd.Series:
    """Which arms could have the metric: a classifier alone has no bound, a model without labels no
    accuracy.

    `n_scored`: how many values each arm has; one that has any is never left out.
    """
    excluded = "none" if metric == ACCURACY else "supervised"
    return (arms["supervision"] != excluded) | (n_scored > 0)


def choose_design(a: Arm, b: Arm, n: tuple[int, int], n_common: int) -> str:
    """ "paired" or "welch": of two arms, their numbers of values and the number of seeds that both
    have.
    """
    if not n_common or not a["seeded"] & b["seeded"]:
        return "welch"
    return "welch" if n_common < MIN_SEEDS <= min(n) else "paired"


def has_matching_estimator(arms: pd.DataFrame, metric: Metric) -> pd.Series:
    """Which arms hold what the metric is: a bound an ELBO, an exact likelihood that; of other
    metrics all.
    """
    kind = (
        number_kinds.EXACT
        if metric == NLL
        else number_kinds.ELBO
        if metric.name in BOUND_METRICS
        else ""
    )
    return arms["estimator"].map(lambda held: not kind or not held or kind in held).astype(bool)


def find_obstacle(a: Arm, b: Arm, metric: Metric) -> str:
    """Why two arms cannot be compared at all, empty where they can: what they were scored on must
    be one thing.
    """
    if a["dataset"] != b["dataset"]:
        return "different data sets"
    if len(a["data_checksum"] | b["data_checksum"]) > 1:
        return "different versions of the data"
    if (
        metric.evaluation == "report_subset"
        and len(a["subset_checksum"] | b["subset_checksum"]) > 1
    ):
        return "different lists of images"
    if len(a.get("samples", frozenset()) | b.get("samples", frozenset())) > 1:
        return "different numbers of samples"
    return _likelihood_obstacle(a, b) if metric == NLL or metric.name in BOUND_METRICS else ""


def _likelihood_obstacle(a: Arm, b: Arm) -> str:
    """Whether two likelihoods are numbers of one kind, of pixels of one kind."""
    if len(a["data_kind"] | b["data_kind"]) > 1:
        return (
            f"different kinds of pixels ({' and '.join(sorted(a['data_kind'] | b['data_kind']))})"
        )
    if len(a["estimator"] | b["estimator"]) > 1 and a["estimator"] and b["estimator"]:
        return f"{a['name']} holds {_estimator_names(a)}, {b['name']} {_estimator_names(b)}"
    return ""


def _estimator_names(arm: Arm) -> str:
    return " and ".join(
        number_kinds.ESTIMATOR_NAMES.get(kind, kind) for kind in sorted(arm["estimator"])
    )
