"""What a grid said about comparisons beforehand."""

from typing import Any

import pytest

from analysis.stated import stated
from harness.errors import BadInput
from harness.grid import Compare


def run(name: str, **grid: Any) -> dict[str, Any]:
    """A provenance record of a grid of this name."""
    return {"started": "2026", "grid": {"name": name, **grid}}


def test_the_newest_record_counts() -> None:
    old, new = {"metrics": ["kl"]}, {"metrics": ["nelbo"], "correction": "bh", "margin": {"nelbo": 0.5}}
    found = stated([run("beta", compare=old), run("beta", compare=new)])
    assert found.how == Compare(metrics=["nelbo"], correction="bh", margin={"nelbo": 0.5})
    assert found.said.startswith("Stated by the grid beta before its results were seen: every pair of arms, on nelbo")


@pytest.mark.parametrize("provenance", [[], [{"command": "bench"}], [run("beta")]])
def test_what_nothing_states_is_every_pair_with_holm(provenance: list[dict[str, Any]]) -> None:
    found = stated(provenance)
    assert found.how == Compare()
    assert found.said == "No grid stated beforehand what is compared: every pair of arms, Holm."


def test_several_grids_state_nothing_together() -> None:
    found = stated([run("beta", compare={"metrics": ["nelbo"]}), run("labels", compare={"metrics": ["accuracy"]})])
    assert found.how == Compare()
    assert "Several grids ran here (beta, labels)" in found.said


def test_a_statement_that_is_none_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"grid key 'compare.metrics'; expected"):
        stated([run("beta", compare={"metrics": 3})])
