import numpy as np
import pandas as pd
import pytest

from analysis.comparison.comparisons import compare_arms, compare_pairs
from analysis.comparison.looks import Look
from analysis.comparison.open_arms import find_open_cells
from analysis.comparison.pairing import choose_pairs
from analysis.frames.arm_table import summarize_arms
from analysis.frames.declared import LookPlan, read_looks
from analysis.rendering.numbers import format_p
from analysis.stats.sequential.anytime import p_of_differences
from harness.experiment.grid import ComparisonSpec
from tests.unit.analysis.conftest import made, row
from tests.unit.analysis.example_frames import table

PLAN = LookPlan(tuple(range(20)), (5, 10, 15, 20), ("better", "equivalent"))
NELBO = ComparisonSpec(metrics=["nelbo"], margin={"nelbo": 0.5})


def compare(arms: dict[str, np.ndarray], plan: LookPlan = PLAN) -> pd.DataFrame:
    rows = table(arms)
    arm_table = summarize_arms(rows)
    return compare_pairs(rows, arm_table, choose_pairs(arm_table, NELBO), NELBO, plan)


def draw(shift: float, n: int, seed: int, sd: float = 1.0) -> np.ndarray:
    return 100 + shift + sd * np.random.default_rng(seed).normal(size=n)


def test_a_step_of_holm_has_the_bound_of_the_tests_that_are_left() -> None:
    look = Look(PLAN, 1)
    bounds = [look.find_bound(tests) for tests in (3, 2, 1)]
    adjusted, used = look.step_down(np.array([0.9, bounds[0] / 2, bounds[1] * 0.9]), 3)
    assert used == pytest.approx([bounds[2], bounds[0], bounds[1]])
    assert (adjusted <= 0.05).tolist() == [False, True, True]


def test_after_a_failed_step_nothing_more_is_claimed() -> None:
    look = Look(PLAN, 0)
    p = np.array([look.find_bound(2) * 1.1, look.find_bound(1) * 0.9])
    adjusted, used = look.step_down(p, 2)
    assert (adjusted > 0.05).all()
    assert used == pytest.approx([look.find_bound(2)] * 2)


def test_a_claim_keeps_the_numbers_of_its_look() -> None:
    first, second = draw(0, 20, 1), draw(30, 20, 2)
    (found,) = compare({"a": first, "b": second}).to_dict("records")
    assert (found["look"], found["n_pairs"], found["verdict"]) == ("look 1 of 4", 5, "worse")
    assert found["mean_a"] == pytest.approx(second[:5].mean())
    assert "at look 1 of 4 (bound 0.013)" in found["text"]


def test_an_open_comparison_has_the_numbers_of_the_last_look_that_is_complete() -> None:
    (found,) = compare({"a": draw(0, 13, 1), "b": draw(0, 13, 2)}).to_dict("records")
    assert (found["look"], found["n_pairs"]) == ("look 2 of 4", 10)
    assert found["verdict"] == "no difference shown"


def test_before_the_first_look_nothing_is_compared() -> None:
    assert compare({"a": draw(0, 4, 1), "b": draw(9, 4, 2)}).empty


def test_equal_arms_are_equivalent_at_a_look() -> None:
    (found,) = compare({"a": draw(0, 20, 1, 0.01), "b": draw(0.1, 20, 2, 0.01)}).to_dict("records")
    assert found["verdict"] in ("equivalent", "worse")
    (found,) = compare({"a": draw(0, 20, 1, 0.01), "b": draw(0, 20, 2, 0.01)}).to_dict("records")
    assert (found["verdict"], found["look"]) == ("equivalent", "look 1 of 4")
    assert "TOST" in found["text"]


def test_the_interval_of_a_look_is_wider_than_that_of_a_fixed_number_of_seeds() -> None:
    arms = {"a": draw(0, 20, 1), "b": draw(0, 20, 2)}
    (found,) = compare(arms).to_dict("records")
    (fixed,) = compare_arms(table(arms), NELBO).to_dict("records")
    assert found["n_pairs"] == fixed["n_pairs"] == 20
    assert found["low"] < fixed["low"] < fixed["high"] < found["high"]


def test_a_failed_seed_counts_as_reached() -> None:
    rows = table({"a": draw(0, 5, 1), "b": draw(9, 5, 2)})
    is_first = rows.index == rows.index[0]
    rows["status"] = rows["status"].mask(is_first, "failed")
    rows["nelbo"] = rows["nelbo"].mask(is_first)
    arms = summarize_arms(rows)
    found = compare_pairs(rows, arms, choose_pairs(arms, NELBO), NELBO, PLAN)
    assert found["look"].tolist() == ["look 1 of 4"]
    assert found["n_pairs"].tolist() == [4]


def test_arms_of_open_comparisons_go_on() -> None:
    values = {1.0: draw(0, 5, 1), 2.0: draw(0.2, 5, 2), 4.0: draw(40, 5, 3)}
    cells = {beta: [made("vae", seed, beta=beta) for seed in range(5)] for beta in values}
    rows = pd.DataFrame(
        [
            row(cell, nelbo=value, kl=1.0, rec=value - 1, estimator="elbo")
            for beta, of_arm in cells.items()
            for cell, value in zip(of_arm, values[beta], strict=True)
        ]
    )
    found = find_open_cells(rows, NELBO, PLAN)
    assert found == {cell.id for beta in (1.0, 2.0) for cell in cells[beta]}


def test_looks_are_read_from_a_grid() -> None:
    grid = {"seeds": list(range(10)), "looks": [5, 10], "stop": ["better"]}
    assert read_looks(grid) == LookPlan(tuple(range(10)), (5, 10), ("better",))
    assert read_looks({"seeds": [0, 1]}) is None
    studies = grid | {"search": {"studies": 10}, "compare": {"unit": "study"}, "seeds": [0]}
    assert read_looks(studies) == LookPlan(tuple(range(10)), (5, 10), ("better",))


def test_growth_without_looks_gets_an_anytime_p() -> None:
    rows = table({"a": draw(0, 8, 1), "b": draw(3, 8, 2)}).assign(adaptive=True)
    (found,) = compare_arms(rows, NELBO).to_dict("records")
    (fixed,) = compare_arms(rows.assign(adaptive=False), NELBO).to_dict("records")
    assert (found["p"], found["text"]) == (fixed["p"], fixed["text"])
    (flag,) = (each for each in found["flags"] if each.startswith("adaptive"))
    differences = draw(3, 8, 2) - draw(0, 8, 1)
    assert f"adaptive: {format_p(p_of_differences(differences))} whenever one stops" in flag


def test_growth_that_shows_nothing_at_any_time_says_so() -> None:
    rows = table({"a": draw(0, 5, 1), "b": draw(1.4, 5, 2)}).assign(adaptive=True)
    (found,) = compare_arms(rows, NELBO).to_dict("records")
    (flag,) = (each for each in found["flags"] if each.startswith("adaptive"))
    assert flag.endswith(", so no difference is shown")
