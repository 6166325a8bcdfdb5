"""Comparisons in words and tables: what `analysis.compare` found, as sentences for people and
tables to paste.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.comparison import verdict
from analysis.frames.metrics import BOUND_PARTS, METRIC_BY_COLUMN, Metric
from analysis.rendering import numbers
from analysis.rendering.numbers import format_p_cell
from analysis.rendering.section import DECIDED, DESCRIBED, Family, Verdict
from analysis.rendering.table import Table
from analysis.sections.summary import EVALUATION_SET_NAMES
from analysis.stats import multiplicity
from analysis.stats.power import MAX_SEEDS

GRID_P_HEADING = (
    "p in the grid's family"  # heading: the pair's p there, where a table is of another family
)
NEITHER_IS_BETTER = (
    "Neither lower nor higher is better: KL and reconstruction are traded for each other"
)
DESCRIPTION_ONLY = "Below 5 seeds an arm is described, never judged: description only, no verdict."


def build_families(comparisons: pd.DataFrame) -> list[Family]:
    """Comparisons, as `comparisons` gives them -> a family a metric, in the order of the metrics."""
    return [
        _build_family(METRIC_BY_COLUMN[column], found.reset_index(drop=True))
        for column in METRIC_BY_COLUMN
        if len(found := comparisons[comparisons["metric"] == column])
    ]


def terminal_lines(found_families: Sequence[Family], limit: int) -> Iterator[str]:
    """Families -> lines for a terminal, at most `limit` verdicts a family."""
    for family in found_families:
        yield f"{family.title}, {family.tally}"
        yield from (f"  {each.sentence}" for each in family.verdicts[:limit])
        if (rest := len(family.verdicts) - limit) > 0:
            yield f"  and {rest} more: see the report"


def _build_family(metric: Metric, comparisons: pd.DataFrame) -> Family:
    records = comparisons[["a", "b", "verdict", "text", "flags"]].itertuples(index=False)
    verdicts = [Verdict(a, b, word, reason, flags) for a, b, word, reason, flags in records]
    title = f"{metric.title} on {EVALUATION_SET_NAMES[metric.evaluation]}"
    tables = (
        _difference_table(metric, title, comparisons),
        _effect_table(metric, title, comparisons),
        _run_table(metric, title, comparisons),
    )
    return Family(
        metric.column.replace("_", "-"),
        title,
        count_verdicts(comparisons["verdict"]),
        verdicts,
        tables,
    )


def count_verdicts(words: "pd.Series[str]") -> str:
    """How many comparisons there are, and of each verdict.

    >>> count_verdicts(pd.Series(["better", "worse", "no difference shown"]))
    '3 comparisons: 2 better or worse, 1 no difference shown'
    """
    together = dict.fromkeys(DECIDED[:2], "better or worse") | dict.fromkeys(
        DECIDED[2:], "lower or higher"
    )
    counted = words.replace(together).value_counts(sort=False)
    return (
        f"{_count_comparisons(len(words))}: "
        f"{', '.join(f'{count:,} {word}' for word, count in counted.items())}"
    )


def _leading_columns(comparisons: pd.DataFrame) -> dict[str, Any]:
    """The first columns of every table of comparisons: the arms and their seeds."""
    return {
        "A": comparisons["a"],
        "B": comparisons["b"],
        "Seeds": [format_seeds_cell(row) for row in comparisons.to_dict("records")],
    }


def _difference_table(metric: Metric, title: str, comparisons: pd.DataFrame) -> Table:
    unit, factor = metric.difference_unit, metric.factor
    text = pd.DataFrame(
        {
            **_leading_columns(comparisons),
            f"A ({metric.unit})": (comparisons["mean_a"] * factor).map(_format_number),
            f"B ({metric.unit})": (comparisons["mean_b"] * factor).map(_format_number),
            f"A − B ({unit}) [95 % CI]": format_interval_cells(metric, comparisons),
            "p": comparisons["p"].map(format_p_cell),
            "p adjusted": comparisons["p_adjusted"].map(format_p_cell),
            "Verdict": [
                format_verdict_cell(*each)
                for each in zip(comparisons["verdict"], comparisons["flags"], strict=True)
            ],
        }
    )
    return Table(
        f"comparisons-{_file_name(metric)}",
        f"Comparisons, {title}",
        family_caption(metric, comparisons),
        text,
        _csv_values(comparisons),
    )


def _effect_table(metric: Metric, title: str, comparisons: pd.DataFrame) -> Table:
    unit, factor = metric.difference_unit, metric.factor
    text = pd.DataFrame(
        {
            **_leading_columns(comparisons),
            "Hedges' g": comparisons["g"].map(_format_number),
            f"P(A {verdict.direction_words(metric)[0]})": comparisons["superiority"].map(
                _format_number
            ),
            "ρ": comparisons["correlation"].map(_format_number),
            "Exact p": comparisons["p_exact"].map(format_p_cell),
            "its floor": comparisons["p_floor"].map(format_p_cell),
            f"Detectable ({unit})": (comparisons["detectable"] * factor).map(_format_number),
            "Seeds for 80 %": comparisons["seeds_needed"].map(_format_seeds_needed),
            f"Margin ({unit})": (comparisons["margin"] * factor).map(_format_number),
            "p equivalence": comparisons["p_equivalence"].map(format_p_cell),
        }
    )
    about = _EFFECTS_CAPTION.format(word=verdict.direction_words(metric)[0])
    return Table(
        f"effects-{_file_name(metric)}",
        f"Effects and power, {title}",
        about,
        _drop_empty_columns(text),
        _csv_values(comparisons),
    )


def _run_table(metric: Metric, title: str, comparisons: pd.DataFrame) -> Table:
    factor, text = metric.factor, _leading_columns(comparisons)
    for what in ("median", "worst"):
        for side in ("a", "b"):
            text[f"{what.capitalize()} {side.upper()} ({metric.unit})"] = (
                comparisons[f"{what}_{side}"] * factor
            ).map(_format_number)
    for what in ("collapsed", "failed", "diverged"):
        counts = comparisons[[f"{what}_a", f"{what}_b"]].itertuples(index=False)
        text[what.capitalize()] = [f"{a} and {b}" if a or b else "–" for a, b in counts]
    text["p lost"] = comparisons["p_lost"].map(format_p_cell)
    return Table(
        f"runs-{_file_name(metric)}",
        f"Runs one by one, {title}",
        _RUNS_CAPTION,
        _drop_empty_columns(pd.DataFrame(text)),
        _csv_values(comparisons),
    )


def _drop_empty_columns(text: pd.DataFrame) -> pd.DataFrame:
    """A table of text without its columns of dashes."""
    return text.loc[:, [name for name in text if not text[name].eq("–").all()]]


_EFFECTS_CAPTION = (
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
_RUNS_CAPTION = (
    "Of all scored seeds of A and of B. Collapsed: farther on the bad side of the median than "
    "8 × 1.4826 median "
    "absolute deviations. p lost: Fisher's exact test of as many runs collapsed, failed or "
    "diverged in both arms, not "
    "adjusted. A column that is not here: nothing to tell."
)


def family_caption(metric: Metric, comparisons: pd.DataFrame, scope: str = "") -> str:
    """What the figures of a family are; `scope` says of what the comparisons are where the family
    is not the grid's.
    """
    better = (
        NEITHER_IS_BETTER
        if metric.name in BOUND_PARTS
        else "Higher is better"
        if verdict.higher_is_better(metric)
        else "Lower is better"
    )
    n_tested = int(comparisons["comparisons"].max())
    correction = multiplicity.CORRECTION_NAMES[comparisons["correction"].iloc[0]]
    family = f" p adjusted by {correction} over {_count_comparisons(n_tested)}." if n_tested else ""
    if family and scope:
        family = f" p adjusted by {correction} over {_count_comparisons(n_tested)}, those {scope}."
    description = f" {DESCRIPTION_ONLY}" if comparisons["verdict"].isin(DESCRIBED).any() else ""
    return (
        f"{better}; n is the number of seeds; the 95 % t-intervals are not "
        f"adjusted.{family}{description}"
    )


def headline_sentence(found_families: Sequence[Family]) -> str:
    """The first difference that is told, or how the first family ends, in a sentence; empty where
    there is none.
    """
    for family in found_families:
        for each in family.verdicts:
            if each.kind == "decided":
                amount, bracket, _ = each.reason.partition("], ")
                shortened = replace(each, reason=amount + bracket.rstrip(", "))
                return f"{family.title}: {shortened.sentence} ({family.tally})"
    return f"{found_families[0].title}: {found_families[0].tally}" if found_families else ""


def family_note(comparisons: pd.DataFrame) -> str:
    """What it means that each metric is a family of its own, in a sentence; empty where nothing is
    tested.
    """
    tested = comparisons.loc[
        comparisons["p_adjusted"].notna(), ["metric", "correction"]
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


def _count_comparisons(count: int) -> str:
    return "1 comparison" if count == 1 else f"{count:,} comparisons"


def _csv_values(comparisons: pd.DataFrame) -> pd.DataFrame:
    return comparisons.assign(flags=comparisons["flags"].map("; ".join))


def _file_name(metric: Metric) -> str:
    return metric.column.replace("_", "-")


def format_verdict_cell(word: str, flags: Sequence[str]) -> str:
    """A verdict in a cell of a table: the word, and what to beware of."""
    return f"{word} ({', '.join(flags)})" if flags else word


def format_seeds_cell(row: dict[Any, Any]) -> str:
    """How the seeds of a comparison were matched, and how many there are."""
    if row["design"] == "paired":
        return f"paired, n = {row['n_pairs']:.0f}"
    return f"unpaired, n = {row['n_a']:.0f} and {row['n_b']:.0f}"


def format_interval_cells(metric: Metric, comparisons: pd.DataFrame) -> list[str]:
    """Differences in the metric's unit, each with its interval where it has one."""
    parts = (comparisons[["difference", "low", "high"]].astype(float) * metric.factor).to_numpy()
    return [
        _format_number(middle)
        if math.isnan(low)
        else f"{_format_number(middle)} {numbers.format_interval(low, high)}"
        for middle, low, high in parts
    ]


def _format_number(value: float) -> str:
    return numbers.format_number(value, 2)


def _format_seeds_needed(value: float) -> str:
    return "–" if pd.isna(value) else f"> {MAX_SEEDS:,}" if value > MAX_SEEDS else f"{value:,.0f}"
