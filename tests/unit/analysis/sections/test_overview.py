"""The facts at the head of a report."""

import pandas as pd

from analysis.frames.arm_table import count_cells
from analysis.sections.overview import collect_facts, list_commands, subtitle, title
from tests.unit.analysis.conftest import FrameMaker, made, row


def test_what_was_run(results: FrameMaker) -> None:
    rows = results(
        row(made("vae")), row(made("vae", 1), "failed"), row(made("gmvae"), seeded="weights")
    )
    rows["git_commit"] = "c0ffee+"
    assert title(rows) == "made-up"
    assert (
        subtitle(rows)
        == "3 cells: 2 ok, 1 failed · mnist · cpu: none · commit c0ffee with changed files"
    )
    found = collect_facts(rows, count_cells(rows))
    assert found["Arms"] == "2, with 1 to 2 seeds each"
    assert found["Time"] == "0:02:00 of training, 0:00:10 of scoring (h:mm:ss)"
    assert found["Judge"] == "99.00 % of the grey and 98.00 % of the binarised test images right"
    assert found["Seeds drive"] == "weights; or weights, order"
    assert "Hosts" not in found


def test_two_versions_of_a_library_are_both_told(results: FrameMaker) -> None:
    rows = results(row(made("vae")), row(made("vae", 1), versions='{"torch": "3.0"}'))
    assert collect_facts(rows, count_cells(rows))["Versions"] == "torch 2.9/3.0"


def test_commands_are_told_once_and_the_report_comes_last(results: FrameMaker) -> None:
    commits = results(row(made("vae")))["git_commit"]
    commands = list_commands(
        commits, [{"command": "a"}, {"command": ["a", "b c"]}, {"command": "a"}, {}], "my results"
    )
    assert commands == ["a", "a 'b c'", "python analysis/report.py 'my results'"]


def test_a_single_clean_commit_is_checked_out_first() -> None:
    assert list_commands(pd.Series(["c0ffee1"]), [], "r")[0] == "git checkout c0ffee1"
    assert len(list_commands(pd.Series(["c0ffee1", "c0ffee2"]), [], "r")) == 1
    assert len(list_commands(pd.Series(["--force"]), [], "r")) == 1
