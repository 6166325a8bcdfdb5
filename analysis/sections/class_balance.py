"""Whether the digits that a model samples are balanced: each against uniform, and models against each other.

Pearson's chi-squared (1900), Phil. Mag. 50:157. "One differs from uniform and the other does not" is no difference
between the two: that is asked of the two tables of counts, seed by seed. Those tests are of runs, on their samples:
with thousands of samples two seeds of one model differ too. Whether one model is more balanced than another is asked
of the seeds, by `more_balanced`.
"""

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from analysis import compare
from analysis.comparison import pairing
from analysis.frames.arm_table import different, facts
from analysis.frames.metrics import Metric
from analysis.stats.differences import Floats
from analysis.stats.multiplicity import ALPHA, adjusted
from harness.experiment.grid import Compare

COUNTS = "digit_counts"
IMBALANCE = Metric("imbalance", "imbalance", "Imbalance", "%", "test", factor=100.0)
UNIFORM = ["dataset", "arm", "seed", "samples", "chi2", "df", "p", "p_adjusted"]
BETWEEN = ["dataset", "a", "b", "seed", "samples_a", "samples_b", "chi2", "df", "p", "p_adjusted", "verdict"]


def balance(rows: pd.DataFrame, column: str = COUNTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results table with `arm` -> (`UNIFORM`, a row an arm and seed; `BETWEEN`, a row a pair of arms and seed).

    The family of the first are the seeds of an arm; of the second, the seeds of all pairs of a data set.
    """
    held = rows[(rows["status"] == "ok") & rows[column].notna()]
    counted = held.assign(counts=held[column].map(lambda counts: np.asarray(counts, dtype=float)))
    counted = counted[counted["counts"].map(np.sum) > 0].sort_values(["dataset", "arm", "seed"], kind="stable")
    return _against_uniform(counted), _between(counted)


def more_balanced(rows: pd.DataFrame, how: Compare, column: str = COUNTS) -> pd.DataFrame:
    """Results table with `arm` -> the columns of `compare.COLUMNS` for `IMBALANCE`: a row a pair of arms, over seeds.

    Imbalance is the distance in total variation from uniform: the share of the samples that would have to be of
    another class, 0 to 0.9 for ten classes. Fewer samples give a greater one by chance alone: arms with other numbers
    of samples cannot be compared, and what different judges saw is flagged.
    """
    counted = rows[(rows["status"] == "ok") & rows[column].notna()]
    counted = counted.assign(samples=counted[column].map(np.sum), judges=counted.get("judge_accuracy"))
    arms = facts(rows)
    arms = arms.assign(**{name: different(counted, name, arms.index) for name in ("samples", "judges")})
    distances = rows[column].map(lambda counts: imbalance(np.asarray(counts, dtype=float)), na_action="ignore")
    measured = rows.assign(imbalance=pd.to_numeric(distances))
    return compare.one_family(measured, arms, pairing.pairs(arms, how), IMBALANCE, how)


def imbalance(counts: Floats) -> float:
    """Counts (classes,) -> distance in total variation from uniform, a fraction; nan without samples.

    >>> imbalance(np.array([10.0, 10.0, 10.0, 30.0])).round(3).item()
    0.25
    """
    total = counts.sum()
    return np.abs(counts / total - 1 / len(counts)).sum() / 2 if total else np.float64("nan")


def uniform(counts: Floats) -> tuple[float, float]:
    """Counts (classes,) -> chi-squared against as many of each class, and its p."""
    expected = counts.sum() / len(counts)
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    return chi2, float(chdtrc(len(counts) - 1, chi2))


def between(a: Floats, b: Floats) -> tuple[float, int, float]:
    """Counts (classes,) of two models -> chi-squared against one common balance, degrees of freedom, p."""
    chi2, df, p = betweens(a[None], b[None])
    return float(chi2[0]), int(df[0]), float(p[0])


def betweens(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """Counts (pairs, classes) of two models a row, none without samples -> what `between` says of each, (pairs,).

    A class that neither has ever sampled says nothing and is left out of the degrees of freedom.
    """
    both = a + b
    seen, total = both > 0, both.sum(axis=1, keepdims=True)
    chi2 = np.zeros(len(a))
    for counts in (a, b):
        expected = np.where(seen, both * counts.sum(axis=1, keepdims=True) / total, 1.0)
        chi2 += np.where(seen, (counts - expected) ** 2 / expected, 0.0).sum(axis=1)
    df = seen.sum(axis=1) - 1.0
    p = np.where(df > 0, chdtrc(np.maximum(df, 1.0), chi2), 1.0)
    return np.where(df > 0, chi2, 0.0), df, p


def _against_uniform(counted: pd.DataFrame) -> pd.DataFrame:
    found = []
    for dataset, arm, seed, counts in counted[["dataset", "arm", "seed", "counts"]].itertuples(index=False):
        chi2, p = uniform(counts)
        found.append((dataset, arm, seed, int(counts.sum()), chi2, len(counts) - 1, p, np.nan))
    return _corrected(pd.DataFrame(found, columns=UNIFORM), ["dataset", "arm"])


def _between(counted: pd.DataFrame) -> pd.DataFrame:
    groups = counted.groupby(["dataset", "seed"], sort=False)
    found = [_pairs(group) for _, group in groups if len(group) > 1]
    table = _corrected(pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=BETWEEN), ["dataset"])
    said = np.where(table["p_adjusted"] <= ALPHA, "these runs differ", "no difference shown")
    return table.assign(verdict=pd.Series(said, table.index, dtype=str)).sort_values(
        ["dataset", "a", "b", "seed"], kind="stable", ignore_index=True
    )


def _pairs(group: pd.DataFrame) -> pd.DataFrame:
    """The rows of one data set and seed, an arm each -> `BETWEEN`, every pair of them."""
    a, b = np.triu_indices(len(group), 1)
    counts, arms = np.stack(group["counts"].to_list()), group["arm"].to_numpy()
    chi2, df, p = betweens(counts[a], counts[b])
    samples = counts.sum(axis=1).astype(int)
    found = {"a": arms[a], "b": arms[b], "samples_a": samples[a], "samples_b": samples[b], "chi2": chi2, "p": p}
    found |= {"df": df.astype(int), "p_adjusted": np.nan, "verdict": ""}
    dataset, seed = group[["dataset", "seed"]].iloc[0]
    return pd.DataFrame(found).assign(dataset=dataset, seed=seed)[BETWEEN]


def _corrected(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    parts = [
        part.assign(p_adjusted=adjusted(part["p"].to_numpy(), "holm")) for _, part in table.groupby(by, sort=False)
    ]
    return pd.concat(parts, ignore_index=True) if parts else table
