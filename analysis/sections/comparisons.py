"""Comparisons in words and tables: what `analysis.compare` found, as sentences for people and
tables to paste.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.comparison import verdict
from analysis.frames.metrics import BY_COLUMN, PARTS, Metric
from analysis.rendering import numbers
from analysis.rendering.section import DECIDED, DESCRIBED, Family, Verdict
from analysis.rendering.table import Table
from analysis.sections.summary import SETS
from analysis.stats import multiplicity
from analysis.stats.power import MOST

GRID = "p in the grid's family"  # heading: the pair's p there, where a table is of another family
NEITHER = "Neither lower nor higher is better: KL and reconstruction are traded for each other"
DESCRIPTION = "Below 5 seeds an arm is described, never judged: description only, no verdict."


def families(compared: pd.DataFrame) -> list[Family]:
    """Comparisons, as `compared` gives them -> a family a metric, in the order of the metrics."""
    return [
        _family(BY_COLUMN[column], found.reset_index(drop=True))
        for column in BY_COLUMN
        if len(found := compared[compared["metric"] == column])
    ]


def lines(found: Sequence[Family], limit: int) -> Iterator[str]:
    """Families -> lines for a terminal, at most `limit` verdicts a family."""
    for family in found:
        yield f"{family.title}, {family.tally}"
        yield from (f"  {each.sentence}" for each in family.verdicts[:limit])
        if (rest := len(family.verdicts) - limit) > 0:
            yield f"  and {rest} more: see the report"


def _family(metric: Metric, found: pd.DataFrame) -> Family:
    told = found[["a", "b", "verdict", "text", "flags"]].itertuples(index=False)
    verdicts = [Verdict(a, b, word, reason, flags) for a, b, word, reason, flags in told]
    title = f"{metric.title} on {SETS[metric.evaluation]}"
    tables = (
        _differences(metric, title, found),
        _effects(metric, title, found),
        _runs(metric, title, found),
    )
    return Family(metric.column.replace("_", "-"), title, tally(found["verdict"]), verdicts, tables)


def tally(words: "pd.Series[str]") -> str:
    """How many comparisons there are, and of each verdict.

    >>> tally(pd.Series(["better", "worse", "no difference shown"]))
    '3 comparisons: 2 better or worse, 1 no difference shown'
    """
    together = dict.fromkeys(DECIDED[:2], "better or worse") | dict.fromkeys(
        DECIDED[2:], "lower or higher"
    )
    counted = words.replace(together).value_counts(sort=False)
    return (
        f"{_several(len(words))}: "
        f"{', '.join(f'{count:,} {word}' for word, count in counted.items())}"
    )


def _who(found: pd.DataFrame) -> dict[str, Any]:
    """The first columns of every table of comparisons: the arms and their seeds."""
    return {
        "A": found["a"],
        "B": found["b"],
        "Seeds": [seeds(row) for row in found.to_dict("records")],
    }


def _differences(metric: Metric, title: str, found: pd.DataFrame) -> Table:
    unit, factor = verdict.unit(metric), metric.factor
    text = pd.DataFrame(
        {
            **_who(found),
            f"A ({metric.unit})": (found["mean_a"] * factor).map(_number),
            f"B ({metric.unit})": (found["mean_b"] * factor).map(_number),
            f"A − B ({unit}) [95 % CI]": interval(metric, found),
            "p": found["p"].map(chance),
            "p adjusted": found["p_adjusted"].map(chance),
            "Verdict": [
                short(*each) for each in zip(found["verdict"], found["flags"], strict=True)
            ],
        }
    )
    return Table(
        f"comparisons-{_name(metric)}",
        f"Comparisons, {title}",
        caption(metric, found),
        text,
        _values(found),
    )


def _effects(metric: Metric, title: str, found: pd.DataFrame) -> Table:
    unit, factor = verdict.unit(metric), metric.factor
    text = pd.DataFrame(
        {
            **_who(found),
            "Hedges' g": found["g"].map(_number),
            f"P(A {verdict.words(metric)[0]})": found["superiority"].map(_number),
            "ρ": found["correlation"].map(_number),
            "Exact p": found["p_exact"].map(chance),
            "its floor": found["p_floor"].map(chance),
            f"Detectable ({unit})": (found["detectable"] * factor).map(_number),
            "Seeds for 80 %": found["seeds_needed"].map(_count),
            f"Margin ({unit})": (found["margin"] * factor).map(_number),
            "p equivalence": found["p_equivalence"].map(chance),
        }
    )
    about = _EFFECTS.format(word=verdict.words(metric)[0])
    return Table(
        f"effects-{_name(metric)}",
        f"Effects and power, {title}",
        about,
        _defined(text),
        _values(found),
    )


def _runs(metric: Metric, title: str, found: pd.DataFrame) -> Table:
    factor, text = metric.factor, _who(found)
    for what in ("median", "worst"):
        for side in ("a", "b"):
            text[f"{what.capitalize()} {side.upper()} ({metric.unit})"] = (
                found[f"{what}_{side}"] * factor
            ).map(_number)
    for what in ("collapsed", "failed", "diverged"):
        counts = found[[f"{what}_a", f"{what}_b"]].itertuples(index=False)
        text[what.capitalize()] = [f"{a} and {b}" if a or b else "–" for a, b in counts]
    text["p lost"] = found["p_lost"].map(chance)
    return Table(
        f"runs-{_name(metric)}",
        f"Runs one by one, {title}",
        _RUNS,
        _defined(pd.DataFrame(text)),
        _values(found),
    )


def _defined(text: pd.DataFrame) -> pd.DataFrame:
    """A table of text without its columns of dashes."""
    return text.loc[:, [name for name in text if not text[name].eq("–").all()]]


_EFFECTS = (
    "Hedges' g is the difference in standard deviations within the arms, with its small-sample "
    "correction; P(A {word}) "
    "the chance that a run of A is {word} than a run of B; ρ the correlation of the pairs; the "
    "exact p that of the "
    "permutations, not adjusted, which cannot fall below its floor; detectable the smallest "
    "difference that these "
    "seeds show with 80 % power in this family; seeds for 80 % how many an arm needs if the "
    "difference that was seen "
    "is the true one, which is optimistic where it was picked. A dash: not defined here."
)
_RUNS = (
    "Of all scored seeds of A and of B. Collapsed: farther on the bad side of the median than "
    "8 × 1.4826 median "
    "absolute deviations. p lost: Fisher's exact test of as many runs collapsed, failed or "
    "diverged in both arms, not "
    "adjusted. A column that is not here: nothing to tell."
)


def caption(metric: Metric, found: pd.DataFrame, over: str = "") -> str:
    """What the figures of a family are; `over` says of what the comparisons are where the family is
    not the grid's.
    """
    better = (
        NEITHER
        if metric.name in PARTS
        else "Higher is better"
        if verdict.rises(metric)
        else "Lower is better"
    )
    tested = int(found["comparisons"].max())
    correction = multiplicity.CORRECTIONS[found["correction"].iloc[0]]
    family = f" p adjusted by {correction} over {_several(tested)}." if tested else ""
    if family and over:
        family = f" p adjusted by {correction} over {_several(tested)}, those {over}."
    few = f" {DESCRIPTION}" if found["verdict"].isin(DESCRIBED).any() else ""
    return (
        f"{better}; n is the number of seeds; the 95 % t-intervals are not adjusted.{family}{few}"
    )


def answer(found: Sequence[Family]) -> str:
    """The first difference that is told, or how the first family ends, in a sentence; empty where
    there is none.
    """
    for family in found:
        for each in family.verdicts:
            if each.kind == "decided":
                amount, bracket, _ = each.reason.partition("], ")
                short = replace(each, reason=amount + bracket.rstrip(", "))
                return f"{family.title}: {short.sentence} ({family.tally})"
    return f"{found[0].title}: {found[0].tally}" if found else ""


def apart(compared: pd.DataFrame) -> str:
    """What it means that each metric is a family of its own, in a sentence; empty where nothing is
    tested.
    """
    tested = compared.loc[
        compared["p_adjusted"].notna(), ["metric", "correction"]
    ].drop_duplicates()
    count = len(tested)
    if not count:
        return ""
    if set(tested["correction"]) != {"holm"}:
        return (
            "Each metric is a family of its own: in each, 5 % of the differences told are "
            "expected to be false at most."
        )
    over = f"; over these {count} metrics together it can reach {5 * count} %" if count > 1 else ""
    return (
        f"Each metric is a family of its own: in each, the chance of any false difference is "
        f"at most 5 %{over}."
    )


def _several(count: int) -> str:
    return "1 comparison" if count == 1 else f"{count:,} comparisons"


def _values(found: pd.DataFrame) -> pd.DataFrame:
    return found.assign(flags=found["flags"].map("; ".join))


def _name(metric: Metric) -> str:
    return metric.column.replace("_", "-")


def short(word: str, flags: Sequence[str]) -> str:
    """A verdict in a cell of a table: the word, and what to beware of."""
    return f"{word} ({', '.join(flags)})" if flags else word


def seeds(row: dict[Any, Any]) -> str:
    """How the seeds of a comparison were matched, and how many there are."""
    if row["design"] == "paired":
        return f"paired, n = {row['n_pairs']:.0f}"
    return f"unpaired, n = {row['n_a']:.0f} and {row['n_b']:.0f}"


def interval(metric: Metric, found: pd.DataFrame) -> list[str]:
    """Differences in the metric's unit, each with its interval where it has one."""
    parts = (found[["difference", "low", "high"]].astype(float) * metric.factor).to_numpy()
    said = [tuple(map(_number, part)) for part in parts]
    return [middle if low == "–" else f"{middle} [{low}, {high}]" for middle, low, high in said]


def _number(value: float) -> str:
    return numbers.number(value, 2)


def _count(value: float) -> str:
    return "–" if pd.isna(value) else f"> {MOST:,}" if value > MOST else f"{value:,.0f}"


def chance(p: float) -> str:
    """A p-value in a column of them.

    >>> chance(0.5234), chance(1.3e-8), chance(0.0), chance(float("nan"))
    ('0.52', '1e-8', '< 1e-300', '–')
    """
    return "–" if pd.isna(p) else numbers.chance(p).removeprefix("p ").removeprefix("= ")
