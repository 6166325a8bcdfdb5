"""The section on searches, one entry of the report."""

import pandas as pd

from analysis.rendering.section import Content
from analysis.report_data import ReportData, Section
from analysis.sections.tuning import curves, winners

NO_CURVE = (
    "No tuning curve: it needs twelve random trials of a model, as those of halving and tpe are "
    "not drawn alike."
)


def build(data: ReportData) -> Content:
    """Tuned models, winners, curves, cost and variance; empty where nothing was searched."""
    trials = data.frames.trials
    finals = data.rows[data.rows["stage"] == "final"]
    if trials.empty and finals.empty:
        return Content()
    found = curves.compute_curves(trials) if len(trials) else []
    tables = [
        winners.build_studies(finals) if len(finals) else None,
        winners.build_winners(finals, trials) if len(trials) else None,
        curves.build_table(found),
        winners.build_spend(finals, trials),
        winners.build_variance(finals),
    ]
    return Content(
        paragraphs=[describe_searches(trials)] + ([] if found else [NO_CURVE]),
        draw_plots=lambda: curves.draw(found),
        tables=[table for table in tables if table is not None],
        tables_first=True,
    )


SECTION = Section("tuning", "Tuning", build)


def describe_searches(trials: pd.DataFrame) -> str:
    """What was searched, and what the trials saw, in a sentence or two."""
    if trials.empty:
        return "The trials of the searches are not in this table."
    counts = trials.drop_duplicates(["configuration", "study", "trial"])
    studies = trials.drop_duplicates(["configuration", "study"])
    return (
        f"{len(counts):,} trials in {len(studies):,} studies of "
        f"{trials['configuration'].nunique():,} models. Trials never saw a test image: winners are "
        "chosen on validation images alone."
    )
