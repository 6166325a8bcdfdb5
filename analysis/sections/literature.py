"""Published values whose protocol is not ours: shown beside our arms, never tested against them."""

from collections.abc import Iterator

import pandas as pd

from analysis.frames.arm_table import Row, list_rows
from analysis.frames.metrics import METRICS, Metric
from analysis.rendering.section import Content
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section
from analysis.reproduction.matching import has_matching_arms, select_candidates
from analysis.reproduction.references import ContextValue
from analysis.sections.summary import format_arm_estimate

MOST_ARMS = 3  # of ours beside one value
CAPTION = (
    "None of these is tested against ours, because each was made in another way. Facts are those "
    "that the source states. Ours are arms at β = 1 on the same data set."
)


def build(data: ReportData) -> Content:
    """The values whose models are among the arms, or all of them if the user asks for it."""
    arms = data.arms
    trained = set(zip(arms["model"], arms["dataset"], strict=True))
    ours = select_candidates(data.estimates, data.rows, data.references)
    values = [
        value
        for value in data.references.context
        if data.show_all_references
        or any((model, value.dataset) in trained for model in value.models)
        or (not value.models and has_matching_arms(ours, data.references))
    ]
    return Content(tables=[build_table(values, ours)] if values else [])


SECTION = Section("literature", "Beside the literature", build, dense=True)


def build_table(values: list[ContextValue], ours: pd.DataFrame) -> Table:
    """A line for each value; `select_candidates` -> our arms beside it."""
    text = pd.DataFrame(
        {
            "Row": value.name,
            "Source": value.source,
            "Quantity": value.quantity,
            "As printed": value.printed,
            "Facts": value.facts.describe(),
            "Ours": _describe_ours(value, ours),
            "Verdict": f"cannot be compared: {value.why}",
        }
        for value in values
    )
    frame = pd.json_normalize([value.model_dump() for value in values])
    frame["models"] = frame["models"].map(" ".join)
    return Table("context", "Literature, for context", CAPTION, text, frame)


def _describe_ours(value: ContextValue, ours: pd.DataFrame) -> str:
    """Our arms of the value's models with their means; a dash if there are none."""
    metric = next((m for m in METRICS if (m.name, m.evaluation) == (value.metric, "test")), None)
    if metric is None:
        return "–"
    same = ours["model"].isin(value.models) & (ours["dataset"] == value.dataset)
    same &= (ours["metric"] == metric.column) & (ours["beta"] == 1) & (ours["n"] > 0)
    lines = list(_describe_arms(list_rows(ours[same]), metric))
    more = [f"and {len(lines) - MOST_ARMS} more arms"] if len(lines) > MOST_ARMS else []
    return "; ".join([*lines[:MOST_ARMS], *more]) or "–"


def _describe_arms(arms: list[Row], metric: Metric) -> Iterator[str]:
    for arm in arms:
        yield f"{arm['arm']}: {metric.heading} {format_arm_estimate(arm)}"
