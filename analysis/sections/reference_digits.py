"""Printed digit counts: each row against uniform, and the rows against each other, which alone says
which is more even.

One row far from uniform and another not far is no difference between the two (Gelman and Stern
2006, The American Statistician 60:328): the direct test is the one that answers.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.rendering.numbers import format_p
from analysis.rendering.table import Table
from analysis.reproduction.references import DigitCounts
from analysis.stats.thresholds import ALPHA
from analysis.stats.uniformity import homogeneity_test, uniformity_test

CAPTION = (
    "χ² with 9 degrees of freedom, p not adjusted. Samples of one run each: what is found "
    "holds for these runs, not "
    "for the models. Only the rows against each other say whether one is more even than the other."
)


def build_tables(printed: Sequence[DigitCounts]) -> list[Table]:
    """Printed counts -> one table, or none where nothing is printed."""
    if not printed:
        return []
    values = compute_chi_squares(printed)
    text = pd.DataFrame(
        {
            "Row": values["row"],
            "Samples": values["samples"].astype(str),
            "Digits 0 to 9": values["counts"],
            "χ² (9)": values["chi2"].map("{:.2f}".format),
            "p": values["p"].map(lambda p: format_p(p).removeprefix("p = ")),
            "Verdict": values["verdict"],
        }
    )
    return [Table("printed-digits", "Printed digit counts", CAPTION, text, values)]


def compute_chi_squares(printed: Sequence[DigitCounts]) -> pd.DataFrame:
    """Counts -> a row each against uniform, then one for each pair of a name: row, samples, counts,
    chi2, p, verdict.

    >>> from analysis.reproduction.references import load
    >>> values = compute_chi_squares(load().digit_counts)[["row", "chi2", "p"]]
    >>> print(values.round(3).to_string(index=False))
                                     row  chi2     p
      source report: vae against uniform 17.20 0.046
    source report: gmvae against uniform  8.50 0.485
        source report: vae against gmvae  8.35 0.499
    """
    rows = [_compare_with_uniform(row) for row in printed]
    rows += [
        _compare_pair(one, other)
        for one, other in combinations(printed, 2)
        if one.name == other.name
    ]
    return pd.DataFrame(rows)


def _compare_with_uniform(row: DigitCounts) -> dict[str, object]:
    chi2, p = uniformity_test(np.array(row.counts, dtype=np.float64))
    verdict = "not uniform" if p < ALPHA else "no departure from uniform shown"
    return {
        "row": f"{row.name}: {row.model} against uniform",
        "samples": sum(row.counts),
        "counts": " ".join(map(str, row.counts)),
        "chi2": chi2,
        "p": p,
        "verdict": f"{verdict}{f'; {row.note}' if row.note else ''}",
    }


def _compare_pair(one: DigitCounts, other: DigitCounts) -> dict[str, object]:
    chi2, _, p = homogeneity_test(*(np.array(row.counts, dtype=np.float64) for row in (one, other)))
    models = f"{one.model} and {other.model}"
    verdict = (
        f"{models} differ"
        if p < ALPHA
        else f"no difference between {models} shown: that one is more even is not supported"
    )
    return {
        "row": f"{one.name}: {one.model} against {other.model}",
        "samples": sum(one.counts) + sum(other.counts),
        "counts": "–",
        "chi2": chi2,
        "p": p,
        "verdict": verdict,
    }
