"""Which arms still need seeds, or studies, after a declared look."""

import pandas as pd

from analysis.comparison.comparisons import compare_pairs
from analysis.comparison.pairing import choose_pairs
from analysis.frames import load, number_kinds, searches
from analysis.frames.arm_table import summarize_arms
from analysis.frames.declared import LookPlan
from analysis.rendering.section import DECIDED
from harness.errors import InputError
from harness.experiment.grid import ComparisonSpec

NOT_COMPARABLE = "cannot be compared"


def find_open_cells(rows: pd.DataFrame, declared: ComparisonSpec, plan: LookPlan) -> set[str]:
    """Rows of a results table up to a look -> the ids of the cells of arms that go on.

    An arm goes on while a comparison of it is open: no verdict that settles it, and none that can
    never be. An arm that is compared with none goes on too.
    """
    rows = load.name_arms(number_kinds.fill_estimators(rows))
    units = searches.to_units(rows, declared.unit)
    names = rows["configuration"] if declared.unit == "study" else rows["arm"]
    arms = summarize_arms(units)
    try:
        pairs = choose_pairs(arms, declared)
    except InputError:  # the baseline has no row that it could be known by
        return set(rows["cell"])
    compared = compare_pairs(units, arms, pairs, declared, plan)
    settling = [*(DECIDED if "better" in plan.stop else []), NOT_COMPARABLE]
    settling += ["equivalent"] if "equivalent" in plan.stop else []
    is_open = ~compared["verdict"].isin(settling)
    open_arms = set(compared.loc[is_open, "a"]) | set(compared.loc[is_open, "b"])
    compared_arms = set(compared["a"]) | set(compared["b"])
    goes_on = names.isin(list(open_arms)) | ~names.isin(list(compared_arms))
    return set(rows.loc[goes_on, "cell"])
