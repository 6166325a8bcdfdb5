"""One table that answers whether ours reproduce one printed report: its figures, ours, and the verdict of each."""

import math

import pandas as pd

from analysis.frames.metrics import BY_COLUMN
from analysis.rendering.table import Table
from analysis.reproduction import verdicts as reproduction_verdicts
from analysis.reproduction.references import References
from analysis.sections.reproduction import VERDICTS
from analysis.sections.summary import records
from analysis.stats.estimates import written

SOURCE = "source report"
CAPTION = (
    "Losses over the listed images in nats per image at β = 1, accuracies over the grey test images in %. ± is the "
    f"standard error (SE) of n runs. {VERDICTS}"
)


def tables(rows: pd.DataFrame, references: References, source: str = SOURCE) -> list[Table]:
    """Results table -> a line for each figure that `source` prints; no table where none of ours can be compared."""
    verdicts = reproduction_verdicts.verdicts(rows, references)
    of = verdicts[verdicts["reference"] == source]
    if set(of["verdict"]) <= {"cannot be compared"}:
        return []
    text = [
        {
            "Figure": f"{_which(verdict)}: {BY_COLUMN[verdict['metric']].title}",
            "Printed": _printed(verdict, references),
            "Ours": written(verdict["mean"], verdict["sd"] / math.sqrt(max(1, verdict["n"])), "SE", verdict["n"]),
            "Verdict": verdict["text"],
        }
        for verdict in records(of)
    ]
    return [Table("headline", f"The {source} and ours", CAPTION, pd.DataFrame(text), of)]


def _which(verdict: pd.Series) -> str:
    """The model, and the arm of it where it has several."""
    model, supervision = verdict["model"], verdict["supervision"]
    return str(model) if supervision == "none" else f"{model} {supervision}"


def _printed(verdict: pd.Series, references: References) -> str:
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
