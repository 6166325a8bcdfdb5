"""The tables of the source report, each with the other references and ours of the same evaluation
set beside it.

Ours are the arms trained as the protocol says: β = 1, MNIST, its batch size, learning rate and
settings. A shortened arm is shown with that word. What was scored on one set of images never stands
beside what was scored on another. Each table is followed by its verdicts, which
`analysis.reproduction.verdicts` words.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.frames import training_length
from analysis.frames.arm_table import STATISTICS, records
from analysis.frames.metrics import BOUND, BY_COLUMN, METRICS, Evaluation, Metric
from analysis.rendering.numbers import written
from analysis.rendering.table import Mark, Table
from analysis.reproduction import verdicts as reproduction_verdicts
from analysis.reproduction.consistency import parts
from analysis.reproduction.matching import candidates, matching
from analysis.reproduction.references import Protocol, Reference, References, Shown
from analysis.sections import reference_digits
from analysis.sections.summary import SETS, said
from harness.storage.schema import adds_up

KINDS = (
    "Each ± says whether it is a standard error (SE) or a standard deviation (SD), and n how "
    "many runs it is of."
)
VERDICTS = (
    "Differences are ours − theirs, with 95 % intervals that are not adjusted; p is "
    "Holm-adjusted over the figures of "
    "this table that are tested. Reproduced means equivalent within the margin, by two "
    "one-sided Welch tests."
)
SUM = "Sum of the parts"
_DRAWN = {"seed": "each seed draws its own labels"}


@dataclass(frozen=True)
class _Row:
    """A reference's row, or one of ours, before it is laid out."""

    name: str
    mark: Mark
    remark: str
    parts: str = "–"
    estimates: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def tables(rows: pd.DataFrame, references: References) -> list[Table]:
    """Results table -> for each printed table, what others found beside ours, then the verdicts; in
    printed order.

    A table that holds neither a published reference nor a row of ours is left out. Printed digit
    counts and figures for context, which nothing of ours is tested against, come last.
    """
    ours, verdicts = candidates(rows, references), reproduction_verdicts.verdicts(rows, references)
    found = []
    for shown in references.tables:
        for evaluation in shown.evaluations:
            beside = references.of(shown.name, evaluation)
            metrics = [m for m in METRICS if m.name in shown.metrics and m.evaluation == evaluation]
            lines = list(
                _rows(
                    shown, beside, ours[ours["metric"].isin([metric.column for metric in metrics])]
                )
            )
            scored = any(line.estimates for line in lines if line.mark in ("ours", "aside"))
            if scored or any(reference.origin == "published" for reference in beside):
                found.append(_laid_out(shown, evaluation, metrics, lines))
                of = verdicts[
                    (verdicts["table"] == shown.name) & (verdicts["evaluation"] == evaluation)
                ]
                found += [_judged(shown, evaluation, of)] if len(of) else []
    return [*found, *reference_digits.tables(references.digit_counts), *_context(references)]


def _judged(shown: Shown, evaluation: Evaluation, verdicts: pd.DataFrame) -> Table:
    """The verdicts of one table; figures of a row of which the same is said share a line."""
    titles = verdicts["metric"].map(lambda column: BY_COLUMN[column].title)
    which = verdicts["model"].where(verdicts["supervision"] == "none", verdicts["supervision"])
    names = verdicts["reference"] + (", " + which if len(shown.arms) > 1 else "")
    text = pd.DataFrame(
        {"Row": names, "Ours": verdicts["arm"], "Figure": titles, "Verdict": verdicts["text"]}
    )
    together = (
        text.groupby(["Row", "Ours", "Verdict"], sort=False)["Figure"].agg(", ".join).reset_index()
    )
    return Table(
        f"{shown.name}-{evaluation}-verdicts".replace("_", "-"),
        f"{shown.title}, on {SETS[evaluation]}: is it reproduced?",
        VERDICTS,
        together[list(text)],
        verdicts,
    )


def _context(references: References) -> list[Table]:
    """Figures of other papers as they print them, never tested."""
    if not references.context:
        return []
    values = pd.DataFrame([row.model_dump() for row in references.context])
    text = values.assign(why="cannot be compared: " + values["why"])
    text.columns = pd.Index(["Row", "Source", "Quantity", "As printed", "Verdict"])
    return [
        Table(
            "context",
            "Literature, for context",
            "None of these is tested against ours.",
            text,
            values,
        )
    ]


def flagged(tables: Sequence[Table]) -> list[str]:
    """The rows whose parts do not add up, a line each."""
    lines = [
        (table.title, *line)
        for table in tables
        if SUM in table.text
        for line in zip(table.text["Row"], table.text[SUM], table.marks, strict=True)
    ]
    return [f"{title}: {row}: {said}" for title, row, said, mark in lines if mark == "flagged"]


def _rows(shown: Shown, beside: Sequence[Reference], ours: pd.DataFrame) -> Iterator[_Row]:
    """For each arm that the table speaks of: what others found, then what we did."""
    for protocol in shown.arms:
        which = _which(protocol) if len(shown.arms) > 1 else ""
        for reference in beside:
            if reference.tells_of(protocol):
                yield _printed(reference, which)
        mine = ours[matching(ours, protocol)]
        if mine.empty:
            yield _Row(f"ours{which}", "ours", "no arm was trained as the protocol says")
        for name, arm in mine.groupby("arm", sort=False):
            yield _measured(str(name), arm)


def _which(protocol: Protocol) -> str:
    return f", {protocol.model if protocol.supervision == 'none' else protocol.supervision}"


def _printed(reference: Reference, which: str) -> _Row:
    check = parts(reference.figures)
    values: dict[str, Any] = {"source": reference.source, "origin": reference.origin}
    for name, figure in reference.figures.items():
        numbers = {"n": reference.n, "mean": figure.mean, "se": figure.se, "sd": figure.sd}
        values |= {f"{name}_{statistic}": number for statistic, number in numbers.items()}
    return _Row(
        name=f"{reference.name}{which}",
        mark="flagged" if check and not check.hold else "reference",
        remark="; ".join(
            filter(
                None, [reference.origin, "single run" if reference.n == 1 else "", reference.note]
            )
        ),
        parts=check.text if check else "–",
        estimates={
            name: written(f.mean, *f.spread, reference.n) for name, f in reference.figures.items()
        },
        values=values,
    )


def _measured(name: str, arm: pd.DataFrame) -> _Row:
    """One arm of ours, a metric a row."""
    first = arm.iloc[0]
    scored = {BY_COLUMN[row["metric"]].name: row for row in records(arm) if row["n"]}
    elsewhere = first["elsewhere"] and BY_COLUMN[first["metric"]].evaluation == "report_subset"
    remarks = ["other images than the source report's: not comparable"] if elsewhere else []
    remarks.append(training_length.said(first["iterations"], first["full_length"]))
    if first["labels"]:
        remarks.append(
            _DRAWN.get(
                first["label_draw"], f"labels: {first['label_draw']}, the same for every seed"
            )
        )
    if not scored:
        return _Row(
            f"ours: {name}",
            "ours",
            "not scored on these images" if first["ok"] else "no cell finished",
        )
    return _Row(
        name=f"ours: {name}",
        mark="aside" if elsewhere or first["iterations"] < first["full_length"] else "ours",
        remark="; ".join(remarks),
        parts=_parts({metric: row["mean"] for metric, row in scored.items()}),
        estimates={metric: said(row) for metric, row in scored.items()},
        values={
            f"{metric}_{statistic}": row[statistic]
            for metric, row in scored.items()
            for statistic in STATISTICS
        },
    )


def _parts(means: dict[str, float]) -> str:
    if not set(BOUND) <= set(means):
        return "–"
    nelbo, kl, rec = (means[name] for name in BOUND)
    return (
        "adds up"
        if adds_up(nelbo, kl, rec)
        else f"does not add up: {kl + rec:.2f}, not {nelbo:.2f}"
    )


def _laid_out(
    shown: Shown, evaluation: Evaluation, metrics: Sequence[Metric], lines: Sequence[_Row]
) -> Table:
    text = pd.DataFrame({"Row": [line.name for line in lines]})
    for metric in metrics:
        text[metric.heading] = [line.estimates.get(metric.name, "–") for line in lines]
    if set(BOUND) <= set(shown.metrics):
        text[SUM] = [line.parts for line in lines]
    text["Remark"] = [line.remark for line in lines]
    values = [
        {"row": r.name, "evaluation": evaluation, "parts": r.parts, "remark": r.remark, **r.values}
        for r in lines
    ]
    name = f"{shown.name}-{evaluation}".replace("_", "-")
    return Table(
        name,
        f"{shown.title}, on {SETS[evaluation]}",
        KINDS,
        text,
        pd.DataFrame(values),
        tuple(line.mark for line in lines),
    )


SOURCE = "source report"


HEADLINE_CAPTION = (
    "Losses over the listed images in nats per image at β = 1, accuracies over the grey test "
    "images in %. ± is the "
    f"standard error (SE) of n runs. {VERDICTS}"
)


def headline(rows: pd.DataFrame, references: References, source: str = SOURCE) -> list[Table]:
    """Results table -> a line for each figure that `source` prints; no table where none of ours can
    be compared.
    """
    verdicts = reproduction_verdicts.verdicts(rows, references)
    of = verdicts[verdicts["reference"] == source]
    if set(of["verdict"]) <= {"cannot be compared"}:
        return []
    text = [
        {
            "Figure": f"{_headline_arm(verdict)}: {BY_COLUMN[verdict['metric']].title}",
            "Printed": _headline_value(verdict, references),
            "Ours": written(
                verdict["mean"], verdict["sd"] / math.sqrt(max(1, verdict["n"])), "SE", verdict["n"]
            ),
            "Verdict": verdict["text"],
        }
        for verdict in records(of)
    ]
    return [Table("headline", f"The {source} and ours", HEADLINE_CAPTION, pd.DataFrame(text), of)]


def _headline_arm(verdict: pd.Series) -> str:
    """The model, and the arm of it where it has several."""
    model, supervision = verdict["model"], verdict["supervision"]
    return str(model) if supervision == "none" else f"{model} {supervision}"


def _headline_value(verdict: pd.Series, references: References) -> str:
    """The figure with its ±, in the decimals that it was printed with."""
    metric = BY_COLUMN[verdict["metric"]]
    (reference,) = [
        reference
        for reference in references.of(verdict["table"], verdict["evaluation"])
        if (reference.name, reference.model, reference.supervision)
        == (verdict["reference"], verdict["model"], verdict["supervision"])
    ]
    figure = reference.figures[metric.name]
    return written(figure.mean, *figure.spread, reference.n)
