"""The verdicts of a report as sentences, and what a reader must know before citing one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from analysis.comparison import verdict
from analysis.frames.metrics import METRIC_BY_COLUMN, Metric
from analysis.rendering.section import DECIDED, Content, Family, Verdict, metric_address
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section
from analysis.sections.comparisons import build_tables, count_comparisons


def build(data: ReportData) -> Content:
    """The families of comparisons, who declared them, and the caveats."""
    return Content(
        template="verdicts.html",
        values={
            "families": data.families,
            "declared": data.declaration.text,
            "caveats": data.caveats,
        },
    )


SECTION = Section("verdicts", "Verdicts", build)


def build_families(
    comparisons: pd.DataFrame,
    metrics: Mapping[str, Metric] = METRIC_BY_COLUMN,
    unit: str = "seed",
) -> list[Family]:
    """Comparisons, the columns `COLUMNS` -> a family for each metric, in the order of metrics.

    unit: what a comparison counts
    """
    return [
        _build_family(metrics[column], found.reset_index(drop=True), unit)
        for column in metrics
        if len(found := comparisons[comparisons["metric"] == column])
    ]


def terminal_lines(found_families: Sequence[Family], limit: int) -> Iterator[str]:
    """Families -> lines for a terminal, at most `limit` verdicts a family."""
    for family in found_families:
        yield f"{family.title}, {family.tally}"
        yield from (f"  {each.sentence}" for each in family.verdicts[:limit])
        if (rest := len(family.verdicts) - limit) > 0:
            yield f"  and {rest} more: see the report"


def _build_family(metric: Metric, comparisons: pd.DataFrame, unit: str) -> Family:
    records = comparisons[["a", "b", "verdict", "text", "flags"]].itertuples(index=False)
    verdicts = [
        Verdict(a, b, verdict.to_words_of(unit, word), reason, flags)
        for a, b, word, reason, flags in records
    ]
    title = metric.title_with_set
    tables = build_tables(metric, title, comparisons)
    return Family(
        metric_address(metric.column),
        title,
        verdict.to_words_of(unit, count_verdicts(comparisons["verdict"])),
        verdicts,
        tuple(_to_words_of(unit, each) for each in tables),
    )


def _to_words_of(unit: str, table: Table) -> Table:
    """A table with its caption and headings in words of what the comparisons count."""
    if unit == "seed":
        return table
    headings = {name: verdict.to_words_of(unit, str(name)) for name in table.text}
    caption = verdict.to_words_of(unit, table.caption)
    return replace(table, caption=caption, text=table.text.rename(columns=headings))


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
        f"{count_comparisons(len(words))}: "
        f"{', '.join(f'{count:,} {word}' for word, count in counted.items())}"
    )


def headline_sentence(found_families: Sequence[Family]) -> str:
    """The first difference that was shown, else the tally of the first family; may be empty."""
    for family in found_families:
        for each in family.verdicts:
            if each.kind == "decided":
                amount, bracket, _ = each.reason.partition("], ")
                shortened = replace(each, reason=amount + bracket.rstrip(", "))
                return f"{family.title}: {shortened.sentence} ({family.tally})"
    return f"{found_families[0].title}: {found_families[0].tally}" if found_families else ""


def family_note(comparisons: pd.DataFrame) -> str:
    """What the correction within each metric guarantees; empty if nothing is tested."""
    tested = comparisons.loc[
        comparisons["p_adjusted"].notna(), ["metric", "correction"]
    ].drop_duplicates()
    count = len(tested)
    if not count:
        return ""
    if set(tested["correction"]) != {"holm"}:
        return (
            "Each metric is a family of its own: in each, 5 % of the reported differences are "
            "expected to be false at most."
        )
    over = f"; over these {count} metrics together it can reach {5 * count} %" if count > 1 else ""
    return (
        f"Each metric is a family of its own: in each, the chance of any false difference is "
        f"at most 5 %{over}."
    )
