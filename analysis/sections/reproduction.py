"""The tables of the source report, each with the other references and ours of the same evaluation
set beside it.

Ours are the arms trained as the protocol says: β = 1, MNIST, its batch size, learning rate and
settings. A shortened arm is marked as such. Scores on different sets of images are never in one
table. Each table is followed by its verdicts, from `analysis.reproduction.verdicts`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.frames import training_length
from analysis.frames.arm_table import STATISTICS, Row, list_rows
from analysis.frames.metrics import (
    BOUND_METRICS,
    EVALUATION_SET_NAMES,
    METRIC_BY_COLUMN,
    METRICS,
    EvaluationSet,
    Metric,
)
from analysis.rendering.numbers import format_estimate
from analysis.rendering.section import Content
from analysis.rendering.table import Mark, Table
from analysis.report_data import ReportData, Section
from analysis.reproduction.consistency import check_means, check_sum
from analysis.reproduction.matching import has_matching_arms, matches_protocol, select_candidates
from analysis.reproduction.references import Protocol, Reference, References, ReferenceTable
from analysis.reproduction.verdicts import compute_verdicts
from analysis.sections import reference_digits
from analysis.sections.summary import format_arm_estimate

SPREAD_CAPTION = (
    "Each ± says whether it is a standard error (SE) or a standard deviation (SD), and n how "
    "many runs it is of."
)
VERDICT_CAPTION = (
    "Differences are ours − theirs, with 95 % intervals that are not adjusted; p is "
    "Holm-adjusted over the figures of "
    "this table that are tested. Reproduced means equivalent within the margin, by two "
    "one-sided Welch tests."
)
PROTOCOL_NOTE = (
    "Ours are the arms at β = 1 that were trained as the protocol says. A row whose parts do not "
    "add up is flagged: NELBO = KL + reconstruction must hold to the printed decimals."
)
SUM_HEADING = "Sum of the parts"
_LABEL_DRAW_REMARKS = {"seed": "each seed draws its own labels"}


@dataclass(frozen=True)
class _Row:
    """A row of a table: a reference, or an arm of ours."""

    name: str
    mark: Mark
    remark: str
    sum_check: str = "–"
    estimates: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def build(data: ReportData) -> Content:
    """The source report's figures and ours, where they can be compared or the user asks for it."""
    references = data.references
    ours = select_candidates(data.estimates, data.rows, references)
    if not (data.show_all_references or has_matching_arms(ours, references)):
        return Content()
    verdicts = compute_verdicts(ours, references)
    tables = [
        *build_headline_tables(verdicts, references),
        *build_tables(ours, verdicts, references),
    ]
    return Content(paragraphs=[PROTOCOL_NOTE] if tables else [], tables=tables)


SECTION = Section("beside", "Beside the source report", build)


def build_tables(ours: pd.DataFrame, verdicts: pd.DataFrame, references: References) -> list[Table]:
    """`select_candidates` and `compute_verdicts` -> for each printed table, in printed order: the
    figures of others and ours, then the verdicts.

    A table that holds neither a published reference nor a row of ours is left out. Printed digit
    counts, which nothing of ours is tested against, come last.
    """
    result: list[Table] = []
    for table in references.tables:
        for evaluation in table.evaluations:
            published = references.for_table(table.name, evaluation)
            metrics = [m for m in METRICS if m.name in table.metrics and m.evaluation == evaluation]
            scored = ours[ours["metric"].isin([metric.column for metric in metrics])]
            lines = list(_build_rows(table, published, scored))
            if not _has_content(published, lines):
                continue
            result.append(_build_table(table, evaluation, metrics, lines))
            found = verdicts[
                (verdicts["table"] == table.name) & (verdicts["evaluation"] == evaluation)
            ]
            if len(found):
                result.append(_build_verdict_table(table, evaluation, found))
    return [
        *result,
        *reference_digits.build_tables(references.digit_counts),
    ]


def _has_content(references: Sequence[Reference], lines: Sequence[_Row]) -> bool:
    """Whether a table has a published reference or an estimate of ours."""
    return any(reference.origin == "published" for reference in references) or any(
        line.estimates for line in lines if line.mark in ("ours", "aside")
    )


def _build_verdict_table(
    table: ReferenceTable, evaluation: EvaluationSet, verdicts: pd.DataFrame
) -> Table:
    """The verdicts of one table; figures of a row with the same verdict share a line."""
    titles = verdicts["metric"].map(lambda column: METRIC_BY_COLUMN[column].title)
    arms = verdicts["model"].where(verdicts["supervision"] == "none", verdicts["supervision"])
    names = verdicts["reference"] + (", " + arms if len(table.arms) > 1 else "")
    text = pd.DataFrame(
        {"Row": names, "Ours": verdicts["arm"], "Figure": titles, "Verdict": verdicts["text"]}
    )
    merged = (
        text.groupby(["Row", "Ours", "Verdict"], sort=False)["Figure"].agg(", ".join).reset_index()
    )
    return Table(
        f"{table.name}-{evaluation}-verdicts".replace("_", "-"),
        f"{table.title}, on {EVALUATION_SET_NAMES[evaluation]}: is it reproduced?",
        VERDICT_CAPTION,
        merged[list(text)],
        verdicts,
    )


def describe_flagged_rows(tables: Sequence[Table]) -> list[str]:
    """The rows whose parts do not add up, a line each."""
    lines = [
        (table.title, *line)
        for table in tables
        if SUM_HEADING in table.text
        for line in zip(table.text["Row"], table.text[SUM_HEADING], table.marks, strict=True)
    ]
    return [f"{title}: {row}: {check}" for title, row, check, mark in lines if mark == "flagged"]


def _build_rows(
    table: ReferenceTable, references: Sequence[Reference], ours: pd.DataFrame
) -> Iterator[_Row]:
    """For each arm of the printed table: the rows of others, then ours."""
    for protocol in table.arms:
        suffix = _format_suffix(protocol) if len(table.arms) > 1 else ""
        for reference in references:
            if reference.matches(protocol):
                yield _make_reference_row(reference, suffix)
        matches = ours[matches_protocol(ours, protocol)]
        if matches.empty:
            yield _Row(f"ours{suffix}", "ours", "no arm was trained as the protocol says")
        for name, arm in matches.groupby("arm", sort=False):
            yield _make_own_row(str(name), arm)


def _format_suffix(protocol: Protocol) -> str:
    return f", {protocol.model if protocol.supervision == 'none' else protocol.supervision}"


def _make_reference_row(reference: Reference, suffix: str) -> _Row:
    check = check_sum(reference.figures)
    values: dict[str, Any] = {"source": reference.source, "origin": reference.origin}
    for name, figure in reference.figures.items():
        numbers = {"n": reference.n, "mean": figure.mean, "se": figure.se, "sd": figure.sd}
        values |= {f"{name}_{statistic}": number for statistic, number in numbers.items()}
    return _Row(
        name=f"{reference.name}{suffix}",
        mark="flagged" if check and not check.holds else "reference",
        remark="; ".join(
            filter(
                None, [reference.origin, "single run" if reference.n == 1 else "", reference.note]
            )
        ),
        sum_check=check.text if check else "–",
        estimates={
            name: format_estimate(f.mean, *f.spread, reference.n)
            for name, f in reference.figures.items()
        },
        values=values,
    )


def _make_own_row(name: str, arm: pd.DataFrame) -> _Row:
    """One arm of ours, a metric a row."""
    first = arm.iloc[0]
    scored = {METRIC_BY_COLUMN[row["metric"]].name: row for row in list_rows(arm) if row["n"]}
    on_other_images = (
        first["elsewhere"] and METRIC_BY_COLUMN[first["metric"]].evaluation == "report_subset"
    )
    check = check_means({metric: row["mean"] for metric, row in scored.items()})
    if not scored:
        return _Row(
            f"ours: {name}",
            "ours",
            "not scored on these images" if first["ok"] else "no cell finished",
        )
    return _Row(
        name=f"ours: {name}",
        mark="aside" if on_other_images or first["iterations"] < first["full_length"] else "ours",
        remark="; ".join(_list_remarks(first, on_other_images)),
        sum_check=check.text if check else "–",
        estimates={metric: format_arm_estimate(row) for metric, row in scored.items()},
        values={
            f"{metric}_{statistic}": row[statistic]
            for metric, row in scored.items()
            for statistic in STATISTICS
        },
    )


def _list_remarks(arm: pd.Series, on_other_images: bool) -> Iterator[str]:
    """What a reader must know of the images, the training length and the labels of an arm."""
    if on_other_images:
        yield "other images than the source report's: not comparable"
    yield training_length.describe_length(arm["iterations"], arm["full_length"])
    if arm["labels"]:
        draw = arm["label_draw"]
        yield _LABEL_DRAW_REMARKS.get(draw, f"labels: {draw}, the same for every seed")


def _build_table(
    table: ReferenceTable,
    evaluation: EvaluationSet,
    metrics: Sequence[Metric],
    lines: Sequence[_Row],
) -> Table:
    text = pd.DataFrame({"Row": [line.name for line in lines]})
    for metric in metrics:
        text[metric.heading] = [line.estimates.get(metric.name, "–") for line in lines]
    if set(BOUND_METRICS) <= set(table.metrics):
        text[SUM_HEADING] = [line.sum_check for line in lines]
    text["Remark"] = [line.remark for line in lines]
    values = [
        {
            "row": r.name,
            "evaluation": evaluation,
            "parts": r.sum_check,
            "remark": r.remark,
            **r.values,
        }
        for r in lines
    ]
    name = f"{table.name}-{evaluation}".replace("_", "-")
    return Table(
        name,
        f"{table.title}, on {EVALUATION_SET_NAMES[evaluation]}",
        SPREAD_CAPTION,
        text,
        pd.DataFrame(values),
        tuple(line.mark for line in lines),
    )


SOURCE_REPORT = "source report"


HEADLINE_CAPTION = (
    "Losses over the listed images in nats per image at β = 1, accuracies over the grey test "
    "images in %. ± is the "
    f"standard error (SE) of n runs. {VERDICT_CAPTION}"
)


def build_headline_tables(
    verdicts: pd.DataFrame, references: References, source: str = SOURCE_REPORT
) -> list[Table]:
    """`compute_verdicts` -> a line for each figure that `source` prints; no table where no arm of
    ours can be compared.
    """
    source_verdicts = verdicts[verdicts["reference"] == source]
    if set(source_verdicts["verdict"]) <= {"cannot be compared"}:
        return []
    text = [
        {
            "Figure": f"{_format_arm(verdict)}: {METRIC_BY_COLUMN[verdict['metric']].title}",
            "Printed": _format_printed(verdict, references),
            "Ours": format_estimate(
                verdict["mean"], verdict["sd"] / math.sqrt(max(1, verdict["n"])), "SE", verdict["n"]
            ),
            "Verdict": verdict["text"],
        }
        for verdict in list_rows(source_verdicts)
    ]
    return [
        Table(
            "headline",
            f"The {source} and ours",
            HEADLINE_CAPTION,
            pd.DataFrame(text),
            source_verdicts,
        )
    ]


def _format_arm(verdict: Row) -> str:
    """The model, and the arm of it where it has several."""
    model, supervision = verdict["model"], verdict["supervision"]
    return str(model) if supervision == "none" else f"{model} {supervision}"


def _format_printed(verdict: Row, references: References) -> str:
    """The figure with its ±, in the decimals that it was printed with."""
    metric = METRIC_BY_COLUMN[verdict["metric"]]
    (reference,) = [
        reference
        for reference in references.for_table(verdict["table"], verdict["evaluation"])
        if (reference.name, reference.model, reference.supervision)
        == (verdict["reference"], verdict["model"], verdict["supervision"])
    ]
    figure = reference.figures[metric.name]
    return format_estimate(figure.mean, *figure.spread, reference.n)
