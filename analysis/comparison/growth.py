"""Comparisons of arms that got more seeds after results were known: a p that holds at any time.

A test of a fixed number of seeds claims too much of such arms. The e-process of
`analysis.stats.sequential.anytime` does not, for near-normal differences, however often one looked.
It needs pairs: two arms without common seeds are paired in the order of their seeds. The verdict
stays that of the fixed test; its flag has the p that may be cited.
"""

import numpy as np
import pandas as pd

from analysis.comparison.flags import ADAPTIVE
from analysis.rendering.numbers import format_p
from analysis.stats import multiplicity
from analysis.stats.differences import Floats
from analysis.stats.multiplicity import Correction
from analysis.stats.sequential.anytime import p_of_differences
from analysis.stats.thresholds import ALPHA

Indices = tuple[np.ndarray, np.ndarray]


def add_anytime_p(
    table: pd.DataFrame, arms: pd.DataFrame, scores: Floats, indices: Indices
) -> pd.DataFrame:
    """Comparisons -> the same with `anytime_p`, nan where no arm has grown.

    arms: `summarize_arms`, with `adaptive` where that is known. scores (arms, seeds). indices: the
    numbers of the arms of each comparison.
    """
    adaptive = arms["adaptive"].to_numpy(bool) if "adaptive" in arms else np.zeros(len(arms), bool)
    p = np.full(len(table), np.nan)
    designs = table["design"].to_numpy()
    for place in np.flatnonzero(adaptive[indices[0]] | adaptive[indices[1]]):
        a, b = (scores[side[place]] for side in indices)
        p[place] = p_of_differences(_pair(a, b, designs[place]))
    return table.assign(anytime_p=p)


def describe_growth(table: pd.DataFrame, correction: Correction) -> pd.DataFrame:
    """Put the adjusted p of the e-process into the flag of arms that have grown.

    The family is that of the fixed tests, whose p is that of the other comparisons.
    """
    tested = table["p"].notna() & table["anytime_p"].notna()
    if not tested.any():
        return table
    family = table["p"].notna()
    p = table["anytime_p"].fillna(table["p"])[family].to_numpy(float)
    adjusted = pd.Series(np.nan, table.index)
    adjusted[family] = multiplicity.adjust_p_values(p, correction)
    flags = [
        tuple(_word(flag, value) for flag in found) if is_tested else found
        for found, value, is_tested in zip(table["flags"], adjusted, tested, strict=True)
    ]
    return table.assign(flags=pd.Series(flags, table.index, dtype=object))


def _pair(a: Floats, b: Floats, design: str) -> Floats:
    """The differences of two arms (seeds,), nan where a seed is missing."""
    if design == "paired":
        differences = a - b
        return np.asarray(differences[np.isfinite(differences)])
    a, b = (values[np.isfinite(values)] for values in (a, b))
    return np.asarray(a[: len(b)] - b[: len(a)])


def _word(flag: str, p: float) -> str:
    if flag != ADAPTIVE:
        return flag
    shown = "" if p <= ALPHA else ", so no difference is shown"
    return f"{ADAPTIVE}: {format_p(p)} whenever one stops, if differences are near-normal{shown}"
