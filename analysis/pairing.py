"""Which arms are compared with which, how their seeds are matched, and what a reader must beware of.

Pairs or not is read from the rows. The cells of two arms with the same seed depend on each other as soon as the seed
drives one purpose in both (`seeded`: weights, order, ...). Then Welch's test, which takes the arms for independent,
does not apply, while the test of the pairs holds whatever share of the randomness is common: two models of different
shape, or an arm whose labels are drawn by the seed against one with the same labels for every seed, are paired as well,
and the latter is flagged. Welch's test is taken where the seeds drive nothing in common or that is not recorded, and
where two arms of five seeds or more share fewer than five.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from analysis import adaptive
from analysis.arm import chosen, said
from analysis.metrics import ACCURACY, Metric
from analysis.notes import FEW
from harness.errors import BadInput
from harness.grid import Compare, Setting

Arm = Mapping[Any, Any]
DESIGNS = ("paired", "welch")


def pairs(arms: pd.DataFrame, how: Compare) -> list[tuple[str, str]]:
    """`arm.facts` -> names (a, b) of the arms to compare, within a data set; a comes after b, or b is the baseline."""
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
    """Which arms could have the metric: a classifier alone has no bound, a model without labels no accuracy.

    `scored`: how many values each arm has; one that has any is never left out.
    """
    without = "none" if metric == ACCURACY else "supervised"
    return (arms["supervision"] != without) | (scored > 0)


def design(a: Arm, b: Arm, n: tuple[int, int], common: int) -> str:
    """ "paired" or "welch": of two arms, their numbers of values and the number of seeds that both have."""
    if not common or not a["seeded"] & b["seeded"]:
        return "welch"
    return "welch" if common < FEW <= min(n) else "paired"


def obstacle(a: Arm, b: Arm, metric: Metric) -> str:
    """Why two arms cannot be compared at all, empty where they can: what they were scored on must be one thing."""
    if a["dataset"] != b["dataset"]:
        return "different data sets"
    column, what = "data_checksum", "versions of the data"
    if len(a[column] | b[column]) > 1:
        return f"different {what}"
    if metric.evaluation == "report_subset" and len(a["subset_checksum"] | b["subset_checksum"]) > 1:
        return "different lists of images"
    return ""


def flags(a: Arm, b: Arm, n: tuple[int, int], common: int, design: str) -> Iterator[str]:
    """What a reader must beware of, in words: of two arms, their numbers of values, common seeds and the design."""
    cells = {"failed cells": "failed", "diverged cells": "diverged"}
    yield from (word for word, status in cells.items() if a[status] + b[status])
    if n[0] < a["ok"] or n[1] < b["ok"]:
        yield "unscored cells"
    if 1 in n:
        yield "single run"
    if n[0] != n[1] or (design == "paired" and common < max(n)):
        yield "unequal seeds"
    if design == "welch" and common and a["seeded"] & b["seeded"]:
        yield "few common seeds"
    yield from _settings(a, b)
    yield from _history(a, b)


def _settings(a: Arm, b: Arm) -> Iterator[str]:
    if a["iterations"] < a["full_length"] or b["iterations"] < b["full_length"]:
        yield "shortened"
    if a["model"] == b["model"] and a["iterations"] != b["iterations"]:
        yield "different lengths"
    if a["labels"] and b["labels"] and a["label_draw"] != b["label_draw"]:
        yield "different label draws"


def _history(a: Arm, b: Arm) -> Iterator[str]:
    for column, word in (("git_commit", "different commits"), ("device", "different devices")):
        if a[column] and b[column] and not a[column] & b[column]:
            yield word
    if a.get("adaptive") or b.get("adaptive"):
        yield "adaptive"
    if a.get("unrecorded") or b.get("unrecorded"):
        yield adaptive.UNKNOWN
