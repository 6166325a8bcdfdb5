"""Comparisons that a grid declared beforehand, and the evidence of the records for that."""

from typing import Any

import pandas as pd
import pytest

from analysis.frames.declared import read_declaration
from harness.errors import InputError
from harness.experiment.grid import ComparisonSpec

OWN = {"metrics": ["nelbo"]}
LOOKED = {"metrics": ["nelbo"], "correction": "bh", "margin": {"nelbo": 1.5}}
DEFAULT = ComparisonSpec().model_dump()


def run(name: str, started: str = "2026-01-01", **grid: Any) -> dict[str, Any]:
    """A provenance record of a grid of this name."""
    return {"started": started, "grid": {"name": name, **grid}}


def done(*finished: str | None, status: str = "ok") -> pd.DataFrame:
    """Rows that were finished at these times."""
    return pd.DataFrame({"status": status, "finished": list(finished)}, dtype=object)


SEEN = done("2026-01-01T10", "2026-01-01T11", "2026-01-02T10")


def test_what_the_first_record_says_before_any_row_is_stated() -> None:
    found = read_declaration(
        [run("beta", compare=OWN), run("beta", "2026-01-02", compare=OWN)], SEEN
    )
    assert found.spec == ComparisonSpec(metrics=["nelbo"])
    assert (
        found.text
        == "Stated by the grid beta before its results were seen: every pair of arms, on nelbo, "
        "Holm."
    )


def test_a_later_declaration_is_reported_and_does_not_count() -> None:
    found = read_declaration(
        [run("beta", compare=OWN), run("beta", "2026-01-02", compare=LOOKED)], SEEN
    )
    assert found.spec == ComparisonSpec(metrics=["nelbo"])
    assert found.text == (
        "Stated by the grid beta before its results were seen: every pair of arms, on nelbo, "
        "Holm; changed after 2 "
        "cells were done, which does not count: every pair of arms, on nelbo, Benjamini-Hochberg; "
        "equivalence within 1.5 (nelbo)."
    )


@pytest.mark.parametrize("rows", [done("2025-12-31T10", "2026-01-02"), done(None, "2026-01-02")])
def test_a_record_that_is_younger_than_a_row_proves_nothing(rows: pd.DataFrame) -> None:
    found = read_declaration([run("beta", compare=OWN)], rows)
    assert found.spec == ComparisonSpec(metrics=["nelbo"])
    assert found.text.startswith(
        "Named by the grid beta, not known whether before its results were seen: every pair"
    )


def test_a_failed_cell_shows_no_result() -> None:
    assert read_declaration(
        [run("beta", compare=OWN)], done("2025-01-01", status="failed")
    ).text.startswith("Stated by")


@pytest.mark.parametrize("record", [run("beta"), run("beta", compare=DEFAULT)])
def test_a_grid_that_names_nothing_states_nothing(record: dict[str, Any]) -> None:
    found = read_declaration([record], SEEN)
    assert found.spec == ComparisonSpec()
    assert found.text == (
        "The grid beta names no comparison of its own; default: every pair of arms, on nelbo, "
        "accuracy, Holm."
    )


def test_the_record_tells_whether_the_default_was_meant() -> None:
    message = [
        read_declaration([run("g", compare=DEFAULT) | {"compare_given": given}], SEEN).text
        for given in (True, False)
    ]
    assert [text.split(" ")[0] for text in message] == ["Stated", "The"]


def test_a_default_that_was_replaced_after_looking_stays() -> None:
    found = read_declaration([run("g", compare=DEFAULT), run("g", "2026-01-03", compare=OWN)], SEEN)
    assert found.spec == ComparisonSpec()
    assert "Stated" not in found.text
    assert "changed after 3 cells were done" in found.text


@pytest.mark.parametrize("provenance", [[], [{"command": "bench"}]])
def test_without_a_record_it_is_not_known(provenance: list[dict[str, Any]]) -> None:
    found = read_declaration(provenance, SEEN)
    assert found.spec == ComparisonSpec()
    assert (
        found.text
        == "Default: every pair of arms, Holm; not known whether stated before the results were "
        "seen."
    )


def test_several_grids_state_nothing_together() -> None:
    found = read_declaration(
        [run("beta", compare=OWN), run("labels", compare={"metrics": ["accuracy"]})], SEEN
    )
    assert found.spec == ComparisonSpec()
    assert "Several grids ran here (beta, labels)" in found.text


def test_a_statement_that_is_none_is_bad_input() -> None:
    with pytest.raises(InputError, match=r"grid key 'compare.metrics'; expected"):
        read_declaration([run("beta", compare={"metrics": 3})], SEEN)
