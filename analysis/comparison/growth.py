"""Verdicts on arms that got more seeds after results were known: tests that hold at any time.

A fixed-n test of such arms claims too much. The e-process of `analysis.stats.sequential.anytime`
does not, for near-normal differences, however often one looked. It needs pairs: two arms without
common seeds are paired in the order of their seeds.
"""

import numpy as np
import pandas as pd

from analysis.stats.differences import Floats
from analysis.stats.sequential.anytime import AnytimeTest, critical_t

Indices = tuple[np.ndarray, np.ndarray]
COLUMNS = ["p", "low", "high", "p_exact", "p_equivalence", "anytime_se", "anytime_n"]


def test_at_any_time(
    table: pd.DataFrame, arms: pd.DataFrame, scores: Floats, indices: Indices
) -> pd.DataFrame:
    """Comparisons -> the same with `anytime`, and with the e-process's numbers where it is true.

    arms: `summarize_arms`, with `adaptive` where that is known. scores (arms, seeds). indices: the
    numbers of the arms of each comparison.
    """
    adaptive = arms["adaptive"].to_numpy(bool) if "adaptive" in arms else np.zeros(len(arms), bool)
    is_anytime = adaptive[indices[0]] | adaptive[indices[1]]
    table = table.assign(anytime=is_anytime, anytime_se=np.nan, anytime_n=0)
    places = np.flatnonzero(is_anytime)
    if not len(places):
        return table
    designs, margins = table["design"].to_numpy(), table["margin"].to_numpy(float)
    found = [
        _test(scores[indices[0][at]], scores[indices[1][at]], designs[at], margins[at])
        for at in places
    ]
    table.loc[table.index[places], COLUMNS] = found
    return table


def widen_adjusted_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Put the e-process's intervals at the level of the family in place of those of fixed n."""
    level, n = table["level"].to_numpy(float), table["anytime_n"].to_numpy(float)
    with np.errstate(invalid="ignore"):  # no interval where no p was tested
        half = critical_t(n, level) * table["anytime_se"].to_numpy(float)
    centre = (table["low"] + table["high"]) / 2
    return table.assign(
        low_adjusted=table["low_adjusted"].mask(table["anytime"], centre - half),
        high_adjusted=table["high_adjusted"].mask(table["anytime"], centre + half),
    )


def _test(a: Floats, b: Floats, design: str, margin: float) -> list[float]:
    """The columns `COLUMNS` of two arms (seeds,), nan where a seed is missing."""
    if design == "paired":
        differences = a - b
    else:
        a, b = (values[np.isfinite(values)] for values in (a, b))
        differences = a[: len(b)] - b[: len(a)]
    test = AnytimeTest.of(differences[np.isfinite(differences)])
    equivalence_p = np.nan if np.isnan(margin) else test.equivalence_p(margin)
    return [test.p, *test.interval(), np.nan, equivalence_p, test.se, test.n]
