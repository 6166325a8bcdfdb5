"""Our results are compared with printed ones of the same arm and images."""

from typing import Any

import pytest

from analysis.rendering.table import Table, to_latex, to_markdown
from analysis.reproduction.matching import select_candidates
from analysis.reproduction.references import load
from analysis.reproduction.verdicts import compute_verdicts
from analysis.sections import reproduction
from tests.unit.analysis.conftest import FrameMaker, estimate_all, made, on_subset, row


def tables(results: FrameMaker, *rows: dict[str, Any]) -> dict[str, Table]:
    """The tables of these rows, by name."""
    references = load()
    frame = results(*rows)
    ours = select_candidates(estimate_all(frame), frame, references)
    tables = reproduction.build_tables(ours, compute_verdicts(ours, references), references)
    return {table.name: table for table in tables}


def ours(table: Table) -> list[tuple[str, str, str]]:
    """Our rows: mark, NELBO, remark."""
    lines = zip(
        table.marks,
        table.text["Row"],
        table.text["NELBO (nats)"],
        table.text["Remark"],
        strict=True,
    )
    return [
        (mark, nelbo, remark) for mark, name, nelbo, remark in lines if str(name).startswith("ours")
    ]


def test_the_two_evaluation_sets_are_never_mixed(results: FrameMaker) -> None:
    found = tables(
        results, *[row(made("vae", seed), **on_subset(made("vae", seed))) for seed in range(3)]
    )
    assert ours(found["table-1-report-subset"]) == [
        ("ours", "102.05 ± 0.14 (SE, n = 3)", "full length: 20,000 steps")
    ]
    assert ours(found["table-1-test"]) == [
        ("ours", "100.40 ± 0.23 (SE, n = 3)", "full length: 20,000 steps")
    ]
    assert "101.31" not in to_markdown(found["table-1-test"])
    assert "99.64" not in to_markdown(found["table-1-report-subset"])
    for name, table in found.items():
        if name.startswith("table"):
            assert set(table.values["evaluation"]) == {
                "report_subset" if "report-subset" in name else "test"
            }


def test_scores_on_other_images_are_not_shown(
    results: FrameMaker,
) -> None:
    found = tables(results, row(made("vae")))
    assert ours(found["table-1-report-subset"]) == [("ours", "–", "not scored on these images")]


def test_another_list_of_images_is_set_aside(results: FrameMaker) -> None:
    found = tables(results, row(made("vae"), **on_subset(made("vae"), "0" * 64)))
    mark, _, remark = ours(found["table-1-report-subset"])[0]
    assert (mark, remark.split(";")[0]) == (
        "aside",
        "other images than the source report's: not comparable",
    )
    assert ours(found["table-1-test"])[0][0] == "ours"


def test_a_shortened_arm_is_set_aside_with_that_word(results: FrameMaker) -> None:
    found = tables(results, row(made("vae", iterations=600)))
    assert ours(found["table-1-test"]) == [
        ("aside", "100.00 (n = 1, no ±)", "shortened: 600 of 20,000 steps")
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"beta": 4.0},
        {"dataset": "kmnist"},
        {"batch_size": 128},
        {"learning_rate": 1e-4},
        {"settings": (("z", 2),)},
        {"recipe": (("ema", 0.9),)},
        {"validation": 5000},
    ],
)
def test_an_arm_that_was_trained_otherwise_is_not_beside(
    results: FrameMaker, values: dict[str, Any]
) -> None:
    found = tables(results, row(made("vae", **values)))
    assert ours(found["table-1-report-subset"]) == [
        ("ours", "–", "no arm was trained as the protocol says")
    ]


def test_broken_sums_are_flagged_in_every_form(results: FrameMaker) -> None:
    found = tables(results, row(made("vae")))
    assert found["table-2-report-subset"].marks[0] == "flagged"
    assert found["table-1-report-subset"].marks[:3] == ("reference", "flagged", "reference")
    sentences = reproduction.describe_flagged_rows(list(found.values()))
    assert len(sentences) == 2
    assert "17.18 + 81.25 = 98.43, not 99.06" in sentences[1]
    for form in (to_markdown, to_latex):
        assert "17.18 + 81.25 = 98.43, not 99.06" in form(found["table-2-report-subset"])


def test_every_spread_carries_its_kind_and_n(results: FrameMaker) -> None:
    for table in tables(results, row(made("vae")), row(made("vae", 1))).values():
        for text in table.text.to_numpy().ravel():
            if "±" in str(text) and str(text)[0].isdigit():
                assert any(
                    kind in text
                    for kind in ("(SE, n = ", "(SD, n = ", ", no ±)", "(kind of ± not stated")
                )


def test_verdicts_follow_their_table_and_digits_are_last(
    results: FrameMaker,
) -> None:
    cells = [made("vae", seed) for seed in range(6)]
    names = list(tables(results, *[row(cell, **on_subset(cell)) for cell in cells]))
    first = names.index("table-1-report-subset")
    assert names[first + 1] == "table-1-report-subset-verdicts"
    assert names[-1] == "printed-digits"


def test_figures_of_which_the_same_is_said_share_a_line(results: FrameMaker) -> None:
    text = tables(results, row(made("vae", iterations=600)))["table-1-report-subset-verdicts"].text
    staff = text[text["Row"] == "staff runs"]
    assert staff["Figure"].tolist() == ["NELBO, KL, Reconstruction"]
    assert (
        staff["Verdict"]
        .str.startswith("cannot be compared: shortened: 600 of 20,000 steps; ours are not")
        .all()
    )


def test_table_3_is_marked_as_single_runs(results: FrameMaker) -> None:
    arms = [made("ssvae", seed, supervision="supervised") for seed in range(2)]
    found = tables(results, *map(row, arms))
    source = found["table-3-test"].text.query("Row.str.startswith('source report')")
    assert source["Remark"].tolist() == ["published; single run; 30,000 steps"] * 2
    said = (
        found["table-3-test-verdicts"]
        .text.query("Row.str.startswith('source report')")["Verdict"]
        .tolist()
    )
    assert said[0] == "too few seeds: 2 of ours, a verdict takes 5; theirs is a single run"
    assert said[1].endswith(
        "no arm of ours was trained as the protocol says; theirs is a single run"
    )


def test_accuracy_is_in_percent_and_tells_the_draw_of_labels(results: FrameMaker) -> None:
    arms = [made("ssvae", seed, supervision="supervised") for seed in (0, 1)]
    table = tables(results, *map(row, arms))["table-3-test"]
    line = table.text[table.text["Row"].str.startswith("ours: ssvae")].iloc[0]
    assert line["Accuracy (%)"] == "75.20 ± 0.20 (SE, n = 2)"
    assert line["Remark"] == "full length: 30,000 steps; each seed draws its own labels"
