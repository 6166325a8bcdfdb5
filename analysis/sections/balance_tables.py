"""Balance of the sampled digits, for the page: a row a pair of arms, a row an arm; every seed's test in files."""

import pandas as pd

from analysis.rendering.table import Table
from analysis.sections.comparisons import Verdict, chance
from analysis.stats.multiplicity import ALPHA

_EACH = "Each test is of one run's samples; p is Holm's"


def tables(uniform: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """What `analysis.sections.class_balance.balance` gives -> the arms against each other, then each against uniform."""
    found = []
    if len(between):
        tests = f"{_EACH} over all {len(between):,} tests of pairs of arms, seed by seed."
        found.append(_counted(between, ["a", "b"], "balance-between", "Arms against each other", tests))
    if len(uniform):
        found.append(
            _counted(uniform, ["arm"], "balance-uniform", "Each arm against uniform", f"{_EACH} over an arm's seeds.")
        )
    return found


def sentences(found: pd.DataFrame) -> list[str]:
    """What `analysis.sections.class_balance.more_balanced` gives -> a verdict a pair of arms, in words, with what to beware of."""
    told = found[["a", "b", "verdict", "text", "flags"]].itertuples(index=False)
    return [Verdict(*each).sentence for each in told]


def seed_by_seed(uniform: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """The same tests one by one: for files, too many to be read on a page."""
    parts = (("uniform", uniform), ("between", between))
    return [
        Table(f"balance-{name}-seeds", f"Balance, {name}, a row a test", _EACH, _texts(found), found)
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
    text = pd.DataFrame({"A" if column == "a" else column.capitalize(): figures[column] for column in by})
    text["Seeds"] = figures["seeds"].astype(str)
    text["χ², least to largest"] = [f"{a:.1f} to {b:.1f}" for a, b in figures[["chi2_low", "chi2_high"]].to_numpy()]
    text["Least p"] = figures["p_least"].map(chance)
    text["Verdict"] = [
        _said(int(differ), int(seeds), by == ["arm"]) for differ, seeds in figures[["differ", "seeds"]].to_numpy()
    ]
    shown = text if figures["dataset"].nunique() == 1 else text.assign(Data=figures["dataset"])
    return Table(name, f"Digits: {title[0].lower()}{title[1:]}", f"Pearson's χ². {caption}", shown, figures)


def _said(differ: int, seeds: int, uniform: bool) -> str:
    what = "not uniform" if uniform else "balance differs"
    if not differ:
        return f"{'no departure' if uniform else 'no difference'} shown in any of n = {seeds} seeds"
    return f"{what} in {differ} of n = {seeds} seeds"


def _texts(found: pd.DataFrame) -> pd.DataFrame:
    printed = {"chi2": "{:.2f}".format, "p": chance, "p_adjusted": chance}
    return pd.DataFrame({name: found[name].map(printed.get(str(name), str)) for name in found})
