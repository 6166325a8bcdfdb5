"""The tables of our own arms."""

import pandas as pd

from analysis.frames.arm_table import count_cells
from analysis.frames.metrics import describe_metrics
from analysis.rendering.table import Table
from analysis.sections import summary
from tests.unit.analysis.conftest import FrameMaker, estimate_all, made, on_subset, row


def build_summary_tables(rows: pd.DataFrame) -> list[Table]:
    """A table for each evaluation set of these rows."""
    metrics = summary.select_main_metrics(rows, describe_metrics(rows))
    return summary.build_summary_tables(estimate_all(rows), count_cells(rows), metrics)


def build_estimate_table(rows: pd.DataFrame) -> Table:
    """Every estimate of these rows."""
    metrics = list(describe_metrics(rows).values())
    return summary.build_estimate_table(estimate_all(rows), count_cells(rows), metrics)


def test_a_table_for_each_evaluation_set(results: FrameMaker) -> None:
    rows = results(row(made("vae"), **on_subset(made("vae"))), row(made("gmvae")))
    test, subset = build_summary_tables(rows)
    assert (test.name, subset.name) == ("summary-test", "summary-report-subset")
    assert test.text["Arm"].tolist() == ["vae", "gmvae"]
    assert subset.text["Arm"].tolist() == ["vae"]
    assert subset.text["NELBO (nats)"].tolist() == ["101.80 (n = 1, no ±)"]


def test_every_estimate_names_metric_set_and_n(results: FrameMaker) -> None:
    seeds = [row(made("vae", seed), **on_subset(made("vae", seed))) for seed in range(2)]
    table = build_estimate_table(results(*seeds))
    assert table.values["metric"].tolist() == [
        *("nelbo", "kl", "rec", "subset_nelbo", "subset_kl", "subset_rec"),
        *("subset_iwae_10", "subset_iwae_100", "subset_iwae_1000"),
    ]
    assert [table.text.loc[0, name] for name in ("Scored on", "Mean ± SE")] == [
        "test",
        "100.20 ± 0.20 (SE, n = 2)",
    ]
    assert table.text.loc[3, "Scored on"] == "report_subset"
    assert table.text["Mean ± SE"].str.endswith("(SE, n = 2)").all()
    assert {"n", "mean", "sd", "se", "low", "high", "unit", "evaluation"} <= set(table.values)


def test_one_seed_has_no_interval(results: FrameMaker) -> None:
    table = build_estimate_table(results(row(made("vae"))))
    assert [table.text.loc[0, name] for name in ("SD", "95 % t-interval")] == ["–", "–"]


def test_what_is_not_in_n_is_said_in_the_row(results: FrameMaker) -> None:
    rows = results(
        row(made("vae", 0)),
        row(made("vae", 1), nelbo=None, kl=None, rec=None),
        row(made("vae", 2), "failed"),
        row(made("vae", 3), "diverged"),
    )
    assert (
        build_estimate_table(rows).text.loc[0, "Cells"]
        == "2 ok (1 not scored), 1 failed, 1 diverged"
    )
    assert build_summary_tables(rows)[0].text.loc[0, "Cells"] == "2 ok, 1 failed, 1 diverged"


def test_a_shortened_arm_says_so_in_its_row_and_in_the_caption(results: FrameMaker) -> None:
    rows = results(row(made("vae", iterations=600)), row(made("gmvae")))
    for table in (*build_summary_tables(rows), build_estimate_table(rows)):
        short = table.text["Arm"] == "vae"
        assert table.text.loc[short, "Cells"].str.endswith("; shortened: 600 of 20,000 steps").all()
        assert table.text.loc[~short, "Cells"].eq("1 ok").all()
        assert table.caption.endswith("SHORTENED: 600 of 20,000 steps (vae)")


def test_nothing_finished_is_a_table_without_numbers(results: FrameMaker) -> None:
    rows = results(row(made("vae"), "failed"))
    assert build_summary_tables(rows)[0].text.to_dict("records") == [
        {
            "Arm": "vae",
            "NELBO (nats)": "–",
            "KL (nats)": "–",
            "Reconstruction (nats)": "–",
            "Cells": "0 ok, 1 failed",
        }
    ]
    assert build_estimate_table(rows).text.empty
