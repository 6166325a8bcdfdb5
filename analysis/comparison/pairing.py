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
from analysis.frames.arm_table import chosen, said
from analysis.frames.metrics import ACCURACY, NLL, Metric
from analysis.stats.thresholds import FEW
from harness.errors import BadInput
from harness.experiment.cell import Setting
from harness.experiment.grid import Compare
from harness.experiment.metrics import BOUNDS

Arm = Mapping[Any, Any]
DESIGNS = ("paired", "welch")


def pairs(arms: pd.DataFrame, how: Compare) -> list[tuple[str, str]]:
    """`arm.facts` -> names (a, b) of the arms to compare, within a data set; a comes after b, or b
    is the baseline.
    """
    found: list[tuple[str, str]] = []
    for _, group in arms.groupby("dataset", sort=False):
        if how.baseline:
            baseline = _baseline(group, how.baseline)
            found += [(str(name), baseline) for name in group.index if name != baseline]
        else:
            found += [(str(a), str(b)) for b, a in combinations(group.index, 2)]
    return found


def _baseline(arms: pd.DataFrame, wanted: dict[str, Setting]) -> str:
    names = list(chosen(arms, wanted).index)
    if len(names) != 1:
        found = f"{', '.join(names) or 'none'} of the arms {', '.join(arms.index)}"
        raise BadInput(f"the baseline {said(wanted)} is {found}; expected exactly one")
    return str(names[0])


def applies(arms: pd.DataFrame, metric: Metric, scored: pd.Series) -> pd.Series:
    """Which arms could have the metric: a classifier alone has no bound, a model without labels no
    accuracy.

    `scored`: how many values each arm has; one that has any is never left out.
    """
    without = "none" if metric == ACCURACY else "supervised"
    return (arms["supervision"] != without) | (scored > 0)


def design(a: Arm, b: Arm, n: tuple[int, int], common: int) -> str:
    """ "paired" or "welch": of two arms, their numbers of values and the number of seeds that both
    have.
    """
    if not common or not a["seeded"] & b["seeded"]:
        return "welch"
    return "welch" if common < FEW <= min(n) else "paired"


def holds(arms: pd.DataFrame, metric: Metric) -> pd.Series:
    """Which arms hold what the metric is: a bound an ELBO, an exact likelihood that; of other
    metrics all.
    """
    wanted = (
        number_kinds.EXACT if metric == NLL else number_kinds.ELBO if metric.name in BOUNDS else ""
    )
    return arms["estimator"].map(lambda held: not wanted or not held or wanted in held).astype(bool)


def obstacle(a: Arm, b: Arm, metric: Metric) -> str:
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
    return _kinds(a, b) if metric == NLL or metric.name in BOUNDS else ""


def _kinds(a: Arm, b: Arm) -> str:
    """Whether two likelihoods are numbers of one kind, of pixels of one kind."""
    if len(a["data_kind"] | b["data_kind"]) > 1:
        return (
            f"different kinds of pixels ({' and '.join(sorted(a['data_kind'] | b['data_kind']))})"
        )
    if len(a["estimator"] | b["estimator"]) > 1 and a["estimator"] and b["estimator"]:
        return f"{a['name']} holds {_held(a)}, {b['name']} {_held(b)}"
    return ""


def _held(arm: Arm) -> str:
    return " and ".join(number_kinds.HELD.get(kind, kind) for kind in sorted(arm["estimator"]))
