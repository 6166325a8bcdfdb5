"""Points are pure functions of study and trial, and lie within their axes."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.experiment.search.space import Axis, Space, uniform
from tests.unit.harness.search.worlds import make_space

STUDIES, TRIALS = st.integers(0, 1000), st.integers(0, 100_000)
UNITS = st.floats(0, 1, exclude_max=True)


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    kinds: list[Any] = ["log", "linear", "integer", "log_integer"]
    kind = draw(st.sampled_from(kinds))
    if kind in ("log", "linear"):
        low = draw(st.floats(1e-9, 1e6))
        return Axis(kind=kind, values=[low, low * draw(st.floats(1.001, 1e6))])
    low = draw(st.integers(1, 10_000))
    return Axis(kind=kind, values=[low, low + draw(st.integers(1, 10_000))])


@given(axes(), UNITS)
def test_draws_lie_within_the_bounds_and_have_the_type_of_the_axis(axis: Axis, u: float) -> None:
    value = axis.draw(u)
    low, high = axis.bounds
    assert type(value) is (int if "integer" in axis.kind else float)
    assert low <= float(value) <= high


@given(axes(), UNITS, UNITS)
def test_a_draw_rises_with_its_quantile(axis: Axis, u: float, v: float) -> None:
    assert float(axis.draw(min(u, v))) <= float(axis.draw(max(u, v)))


@given(st.lists(st.integers(-9, 9) | st.text(max_size=3), min_size=1, unique=True), UNITS)
def test_a_choice_is_one_of_the_list(values: list[int | str], u: float) -> None:
    assert Axis(kind="choices", values=list(values)).draw(u) in values


@pytest.mark.parametrize("kind", ["integer", "log_integer"])
def test_both_bounds_of_integers_are_drawn(kind: Any) -> None:
    axis = Axis(kind=kind, values=[2, 5])
    assert {axis.draw(i / 1000) for i in range(1000)} == {2, 3, 4, 5}


def test_draws_of_an_axis_are_uniform_and_differ_by_study_and_axis() -> None:
    draws = [uniform(0, trial, "learning_rate") for trial in range(4000)]
    for quantile in (0.1, 0.5, 0.9):
        share = sum(u < quantile for u in draws) / len(draws)
        assert abs(share - quantile) < 4 * math.sqrt(quantile * (1 - quantile) / len(draws))
    others = [[uniform(1, t, "learning_rate"), uniform(0, t, "beta")] for t in range(4000)]
    assert not set(draws) & {u for pair in others for u in pair}


@given(STUDIES, TRIALS, axes(), axes())
def test_one_more_axis_changes_no_other(study: int, trial: int, one: Axis, two: Axis) -> None:
    small, large = Space(learning_rate=one), Space(learning_rate=one, settings={"z": two})
    point = large.draw(study, trial)
    assert point == large.draw(study, trial)
    assert point["learning_rate"] == small.draw(study, trial)["learning_rate"]


def test_a_space_of_a_sweep_is_laid_over_that_of_the_grid() -> None:
    grid = make_space(learning_rate=[1e-3], settings={"z": [1], "k": [2]})
    both = grid.lay_over(make_space(beta=[4.0], settings={"z": [3]}))
    assert {name: axis.values for name, axis in both.axes.items()} == {
        "beta": [4.0],
        "learning_rate": [1e-3],
        "settings.k": [2],
        "settings.z": [3],
    }


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        (0.1, "expected a list of choices or one of log, linear, integer, log_integer"),
        ({"cubic": [1, 2]}, "expected a list of choices"),
        ({"log": [1, 2], "linear": [1, 2]}, "expected a list of choices"),
        ({"log": [1, 2, 3]}, "log: expected two numbers"),
        ({"linear": [True, 2]}, "linear: expected two numbers"),
        ({"linear": ["1", 2]}, "linear: expected two numbers"),
        ({"linear": [math.nan, 2]}, "linear: expected two numbers"),
        ({"linear": [1, math.inf]}, "linear: expected two numbers"),
        ({"linear": [2, 2]}, "linear: expected a lower bound first"),
        ({"log": [1e-2, 1e-4]}, "log: expected a lower bound first"),
        ({"log": [0, 1]}, "log: expected bounds above 0"),
        ({"log_integer": [0, 4]}, "log_integer: expected bounds above 0"),
        ({"integer": [1.0, 4]}, "integer: expected two integers"),
        ([3, 3], "expected different choices"),
        ([], "at least 1 item"),
    ],
)
def test_what_is_no_axis_is_refused(axis: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Space(learning_rate=axis)
