"""The table of the docs: each value of the source report with our result."""

from typing import Any

import pandas as pd

from analysis.rendering.table import Table, to_markdown
from analysis.reproduction.matching import select_candidates
from analysis.reproduction.references import load
from analysis.reproduction.verdicts import compute_verdicts
from analysis.sections import reproduction
from tests.unit.analysis.conftest import FrameMaker, estimate_all, made, on_subset, row


def build_headline_tables(rows: pd.DataFrame) -> list[Table]:
    """The headline of these rows."""
    verdicts = compute_verdicts(select_candidates(estimate_all(rows), rows, load()), load())
    return reproduction.build_headline_tables(verdicts, load())


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The text of the one table."""
    (table,) = build_headline_tables(rows)
    return table.text


def seeds(model: str, count: int, **values: Any) -> list[dict[str, Any]]:
    """Rows of `n` seeds at full length, scored on the report's images."""
    return [
        row(made(model, seed), **(on_subset(made(model, seed)) | values)) for seed in range(count)
    ]


def test_each_printed_figure_has_ours_and_a_verdict(results: FrameMaker) -> None:
    text = shown(results(*seeds("vae", 5), *seeds("gmvae", 5)))
    vae = text[text["Figure"] == "vae: NELBO"].iloc[0]
    assert vae["Printed"] == "101.31 ± 0.08 (SE, n = 10)"
    assert vae["Ours"] == "102.30 ± 0.18 (SE, n = 5)"
    assert vae["Verdict"].startswith("differs by 0.99 nats [")
    assert len(text) == 8  # three losses of two models, two accuracies


def test_broken_sums_and_missing_arms_are_not_compared(
    results: FrameMaker,
) -> None:
    text = shown(results(*seeds("vae", 5), *seeds("gmvae", 5))).set_index("Figure")
    assert "17.18 + 81.25 = 98.43, not 99.06" in str(text.loc["gmvae: KL", "Verdict"])
    unrun = text[text["Ours"] == "–"]
    assert len(unrun) == 2
    assert all("no arm of ours was trained" in verdict for verdict in unrun["Verdict"])


def test_a_shortened_grid_has_no_headline(results: FrameMaker) -> None:
    rows = results(*[row(made("vae", seed, iterations=600)) for seed in range(5)])
    assert build_headline_tables(rows) == []


def test_it_is_a_table_of_the_report(results: FrameMaker) -> None:
    rows = results(*seeds("vae", 5))
    (table,) = build_headline_tables(rows)
    assert table.name == "headline"
    assert "| vae: NELBO" in to_markdown(table)
