"""Which arms are compared, whether their seeds are paired, and what makes a comparison impossible.

The design follows from the rows. Two cells with the same seed are dependent as soon as the seed
drives one purpose in both (`seeded`: weights, order, ...). Welch's test assumes independent arms
and does not apply then; the paired test is valid whatever share of the randomness is common. Models
of different shape are therefore paired too, and so is an arm that draws labels by seed with an arm
of fixed labels, which is flagged. Welch's test is used where the seeds drive nothing in common,
where that is not recorded, and where two arms of five or more seeds share fewer than five.
"""

from itertools import combinations

import pandas as pd

from analysis.comparison.flags import Arm
from analysis.frames import number_kinds
from analysis.frames.arm_table import format_filter, select_arms
from analysis.frames.metrics import ACCURACY, NLL, Metric
from analysis.stats.thresholds import MIN_SEEDS
from harness.errors import InputError
from harness.experiment.cell import Setting
from harness.experiment.grid import ComparisonSpec
from harness.experiment.metrics import is_bound
from harness.experiment.own_columns import parse_descriptions

BITS = "bits_per_dimension"  # a metric's own column that tells log p(x)


def choose_pairs(arms: pd.DataFrame, declared: ComparisonSpec) -> list[tuple[str, str]]:
    """`summarize_arms` -> names (a, b) of the arms to compare, each pair of one data set.

    b is the baseline; without one all pairs are compared, and b is the earlier arm of the table.
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
    """Which arms can have the metric.

    A classifier alone has no bound, a model without labels no accuracy. Which arms can have a
    metric that rows describe is not known: those that do. n_scored: how many values each arm has;
    an arm that has any is never left out.
    """
    if metric.evaluation == "own":
        return n_scored > 0
    excluded = "none" if metric == ACCURACY else "supervised"
    return (arms["supervision"] != excluded) | (n_scored > 0)


def choose_design(a: Arm, b: Arm, n: tuple[int, int], n_common: int) -> str:
    """Choose "paired" or "welch"; n: numbers of values of a and b, n_common: of shared seeds."""
    if not n_common or not a["seeded"] & b["seeded"]:
        return "welch"
    return "welch" if n_common < MIN_SEEDS <= min(n) else "paired"


def has_matching_estimator(arms: pd.DataFrame, metric: Metric) -> pd.Series:
    """Which arms were scored with the estimator that the metric needs: ELBO, exact or any."""
    kind = (
        number_kinds.EXACT if metric == NLL else number_kinds.ELBO if is_bound(metric.name) else ""
    )
    return arms["estimator"].map(lambda held: not kind or not held or kind in held).astype(bool)


def find_obstacle(a: Arm, b: Arm, metric: Metric) -> str:
    """Why two arms cannot be compared; empty if they were scored on the same data in one way."""
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
    if any('"descriptive": true' in text for arm in (a, b) for text in arm.get("search_spec", ())):
        return "a searcher of the user chose the trials, so this is a description"
    if len(_list_descriptions(a, metric) | _list_descriptions(b, metric)) > 1:
        return f"{metric.column} is described in different ways"
    tells_likelihood = metric == NLL or is_bound(metric.name) or metric.column == BITS
    return _likelihood_obstacle(a, b) if tells_likelihood else ""


def _list_descriptions(arm: Arm, metric: Metric) -> set[tuple[str, str | None]]:
    """Unit and direction that the rows of an arm give of a column; none of one in every table."""
    described = [parse_descriptions(text) for text in arm.get("own_columns", ())]
    columns = [each[metric.column] for each in described if metric.column in each]
    return {(column.unit, column.better) for column in columns}


def _likelihood_obstacle(a: Arm, b: Arm) -> str:
    """Why two likelihoods cannot be compared: other kinds of pixels or of estimators."""
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
