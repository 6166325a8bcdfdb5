"""What a grid said about comparisons beforehand, and what the records prove of it."""

from typing import Any

import pandas as pd
import pytest

from analysis.frames.declared import stated
from harness.errors import BadInput
from harness.experiment.grid import Compare

OWN = {"metrics": ["nelbo"]}
LOOKED = {"metrics": ["nelbo"], "correction": "bh", "margin": {"nelbo": 1.5}}
DEFAULT = Compare().model_dump()


def run(name: str, started: str = "2026-01-01", **grid: Any) -> dict[str, Any]:
    """A provenance record of a grid of this name."""
    return {"started": started, "grid": {"name": name, **grid}}


def done(*finished: str | None, status: str = "ok") -> pd.DataFrame:
    """Rows that were finished at these times."""
    return pd.DataFrame({"status": status, "finished": list(finished)}, dtype=object)


SEEN = done("2026-01-01T10", "2026-01-01T11", "2026-01-02T10")


def test_what_the_first_record_says_before_any_row_is_stated() -> None:
    found = stated([run("beta", compare=OWN), run("beta", "2026-01-02", compare=OWN)], SEEN)
    assert found.how == Compare(metrics=["nelbo"])
    assert (
        found.said
        == "Stated by the grid beta before its results were seen: every pair of arms, on nelbo, "
        "Holm."
    )


def test_what_was_changed_after_looking_is_told_and_does_not_count() -> None:
    found = stated([run("beta", compare=OWN), run("beta", "2026-01-02", compare=LOOKED)], SEEN)
    assert found.how == Compare(metrics=["nelbo"])
    assert found.said == (
        "Stated by the grid beta before its results were seen: every pair of arms, on nelbo, "
        "Holm; changed after 2 "
        "cells were done, which does not count: every pair of arms, on nelbo, Benjamini-Hochberg; "
        "equivalence within 1.5 (nelbo)."
    )


@pytest.mark.parametrize("rows", [done("2025-12-31T10", "2026-01-02"), done(None, "2026-01-02")])
def test_a_record_that_is_younger_than_a_row_proves_nothing(rows: pd.DataFrame) -> None:
    found = stated([run("beta", compare=OWN)], rows)
    assert found.how == Compare(metrics=["nelbo"])
    assert found.said.startswith(
        "Named by the grid beta, not known whether before its results were seen: every pair"
    )


def test_a_failed_cell_shows_no_result() -> None:
    assert stated([run("beta", compare=OWN)], done("2025-01-01", status="failed")).said.startswith(
        "Stated by"
    )


@pytest.mark.parametrize("record", [run("beta"), run("beta", compare=DEFAULT)])
def test_a_grid_that_names_nothing_states_nothing(record: dict[str, Any]) -> None:
    found = stated([record], SEEN)
    assert found.how == Compare()
    assert found.said == (
        "The grid beta names no comparison of its own; default: every pair of arms, on nelbo, "
        "accuracy, Holm."
    )


def test_the_record_tells_whether_the_default_was_meant() -> None:
    said = [
        stated([run("g", compare=DEFAULT) | {"compare_given": given}], SEEN).said
        for given in (True, False)
    ]
    assert [text.split(" ")[0] for text in said] == ["Stated", "The"]


def test_a_default_that_was_replaced_after_looking_stays() -> None:
    found = stated([run("g", compare=DEFAULT), run("g", "2026-01-03", compare=OWN)], SEEN)
    assert found.how == Compare()
    assert "Stated" not in found.said
    assert "changed after 3 cells were done" in found.said


@pytest.mark.parametrize("provenance", [[], [{"command": "bench"}]])
def test_without_a_record_it_is_not_known(provenance: list[dict[str, Any]]) -> None:
    found = stated(provenance, SEEN)
    assert found.how == Compare()
    assert (
        found.said
        == "Default: every pair of arms, Holm; not known whether stated before the results were "
        "seen."
    )


def test_several_grids_state_nothing_together() -> None:
    found = stated(
        [run("beta", compare=OWN), run("labels", compare={"metrics": ["accuracy"]})], SEEN
    )
    assert found.how == Compare()
    assert "Several grids ran here (beta, labels)" in found.said


def test_a_statement_that_is_none_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"grid key 'compare.metrics'; expected"):
        stated([run("beta", compare={"metrics": 3})], SEEN)
