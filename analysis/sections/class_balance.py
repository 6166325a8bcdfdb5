"""Whether the digits that a model samples are balanced: each against uniform, and models against
each other.

Pearson's chi-squared (1900), Phil. Mag. 50:157. "One differs from uniform and the other does not"
is no difference between the two: that is asked of the two tables of counts, seed by seed. Those
tests are of runs, on their samples: with thousands of samples two seeds of one model differ too.
Whether one model is more balanced than another is asked of the seeds, by `more_balanced`.
"""

import numpy as np
import pandas as pd

from analysis.comparison import comparisons, pairing
from analysis.frames.arm_table import different, facts
from analysis.frames.metrics import Metric
from analysis.rendering.section import Verdict
from analysis.rendering.table import Table
from analysis.sections.comparisons import chance
from analysis.stats.multiplicity import adjusted
from analysis.stats.thresholds import ALPHA
from analysis.stats.uniformity import betweens, imbalance, uniform
from harness.experiment.grid import Compare

COUNTS = "digit_counts"
IMBALANCE = Metric("imbalance", "imbalance", "Imbalance", "%", "test", factor=100.0)
UNIFORM = ["dataset", "arm", "seed", "samples", "chi2", "df", "p", "p_adjusted"]
BETWEEN = [
    "dataset",
    "a",
    "b",
    "seed",
    "samples_a",
    "samples_b",
    "chi2",
    "df",
    "p",
    "p_adjusted",
    "verdict",
]


def balance(rows: pd.DataFrame, column: str = COUNTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results table with `arm` -> (`UNIFORM`, a row an arm and seed; `BETWEEN`, a row a pair of
    arms and seed).

    The family of the first are the seeds of an arm; of the second, the seeds of all pairs of a data
    set.
    """
    held = rows[(rows["status"] == "ok") & rows[column].notna()]
    counted = held.assign(counts=held[column].map(lambda counts: np.asarray(counts, dtype=float)))
    counted = counted[counted["counts"].map(np.sum) > 0].sort_values(
        ["dataset", "arm", "seed"], kind="stable"
    )
    return _against_uniform(counted), _between(counted)


def more_balanced(rows: pd.DataFrame, how: Compare, column: str = COUNTS) -> pd.DataFrame:
    """Results table with `arm` -> the columns of `compare.COLUMNS` for `IMBALANCE`: a row a pair of
    arms, over seeds.

    Imbalance is the distance in total variation from uniform: the share of the samples that would
    have to be of another class, 0 to 0.9 for ten classes. Fewer samples give a greater one by
    chance alone: arms with other numbers of samples cannot be compared, and what different judges
    saw is flagged.
    """
    counted = rows[(rows["status"] == "ok") & rows[column].notna()]
    counted = counted.assign(
        samples=counted[column].map(np.sum), judges=counted.get("judge_accuracy")
    )
    arms = facts(rows)
    arms = arms.assign(
        **{name: different(counted, name, arms.index) for name in ("samples", "judges")}
    )
    distances = rows[column].map(
        lambda counts: imbalance(np.asarray(counts, dtype=float)), na_action="ignore"
    )
    measured = rows.assign(imbalance=pd.to_numeric(distances))
    return comparisons.one_family(measured, arms, pairing.pairs(arms, how), IMBALANCE, how)


def _against_uniform(counted: pd.DataFrame) -> pd.DataFrame:
    found = []
    for dataset, arm, seed, counts in counted[["dataset", "arm", "seed", "counts"]].itertuples(
        index=False
    ):
        chi2, p = uniform(counts)
        found.append((dataset, arm, seed, int(counts.sum()), chi2, len(counts) - 1, p, np.nan))
    return _corrected(pd.DataFrame(found, columns=UNIFORM), ["dataset", "arm"])


def _between(counted: pd.DataFrame) -> pd.DataFrame:
    groups = counted.groupby(["dataset", "seed"], sort=False)
    found = [_pairs(group) for _, group in groups if len(group) > 1]
    table = _corrected(
        pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=BETWEEN), ["dataset"]
    )
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
    found = {
        "a": arms[a],
        "b": arms[b],
        "samples_a": samples[a],
        "samples_b": samples[b],
        "chi2": chi2,
        "p": p,
    }
    found |= {"df": df.astype(int), "p_adjusted": np.nan, "verdict": ""}
    dataset, seed = group[["dataset", "seed"]].iloc[0]
    return pd.DataFrame(found).assign(dataset=dataset, seed=seed)[BETWEEN]


def _corrected(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    parts = [
        part.assign(p_adjusted=adjusted(part["p"].to_numpy(), "holm"))
        for _, part in table.groupby(by, sort=False)
    ]
    return pd.concat(parts, ignore_index=True) if parts else table


_EACH = "Each test is of one run's samples; p is Holm's"


def tables(uniform: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """What `balance` gives -> the arms against each other, then each against uniform."""
    found = []
    if len(between):
        tests = f"{_EACH} over all {len(between):,} tests of pairs of arms, seed by seed."
        found.append(
            _counted(between, ["a", "b"], "balance-between", "Arms against each other", tests)
        )
    if len(uniform):
        found.append(
            _counted(
                uniform,
                ["arm"],
                "balance-uniform",
                "Each arm against uniform",
                f"{_EACH} over an arm's seeds.",
            )
        )
    return found


def sentences(found: pd.DataFrame) -> list[str]:
    """What `more_balanced` gives -> a verdict a pair of arms, in words, with what to beware of."""
    told = found[["a", "b", "verdict", "text", "flags"]].itertuples(index=False)
    return [Verdict(*each).sentence for each in told]


def seed_by_seed(uniform: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """The same tests one by one: for files, too many to be read on a page."""
    parts = (("uniform", uniform), ("between", between))
    return [
        Table(
            f"balance-{name}-seeds", f"Balance, {name}, a row a test", _EACH, _texts(found), found
        )
        for name, found in parts
        if len(found)
    ]


def _counted(found: pd.DataFrame, by: list[str], name: str, title: str, caption: str) -> Table:
    marked = found.assign(differs=found["p_adjusted"] <= ALPHA)
    groups = marked.groupby(["dataset", *by], sort=False)
    figures = groups.agg(
        seeds=("seed", "nunique"),
        chi2_low=("chi2", "min"),
        chi2_high=("chi2", "max"),
        p_least=("p_adjusted", "min"),
        differ=("differs", "sum"),
    ).reset_index()
    text = pd.DataFrame(
        {"A" if column == "a" else column.capitalize(): figures[column] for column in by}
    )
    text["Seeds"] = figures["seeds"].astype(str)
    text["χ², least to largest"] = [
        f"{a:.1f} to {b:.1f}" for a, b in figures[["chi2_low", "chi2_high"]].to_numpy()
    ]
    text["Least p"] = figures["p_least"].map(chance)
    text["Verdict"] = [
        _said(int(differ), int(seeds), by == ["arm"])
        for differ, seeds in figures[["differ", "seeds"]].to_numpy()
    ]
    shown = text if figures["dataset"].nunique() == 1 else text.assign(Data=figures["dataset"])
    return Table(
        name, f"Digits: {title[0].lower()}{title[1:]}", f"Pearson's χ². {caption}", shown, figures
    )


def _said(differ: int, seeds: int, uniform: bool) -> str:
    what = "not uniform" if uniform else "balance differs"
    if not differ:
        return f"{'no departure' if uniform else 'no difference'} shown in any of n = {seeds} seeds"
    return f"{what} in {differ} of n = {seeds} seeds"


def _texts(found: pd.DataFrame) -> pd.DataFrame:
    printed = {"chi2": "{:.2f}".format, "p": chance, "p_adjusted": chance}
    return pd.DataFrame({name: found[name].map(printed.get(str(name), str)) for name in found})
