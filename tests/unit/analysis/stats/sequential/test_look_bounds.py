import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats.sequential.look_bounds import find_bounds, simulate_p_values, spend_evenly
from analysis.stats.summary_tests import paired_test, summarize, welch_test

LOOKS = (5, 10, 15, 20)


def test_the_first_bound_is_its_part_of_the_error() -> None:
    assert find_bounds(LOOKS)[0] == pytest.approx(0.05 / 4)
    assert find_bounds(LOOKS, 3)[0] == pytest.approx(0.05 / 12, rel=1e-3)


def test_one_look_has_the_whole_error() -> None:
    assert find_bounds([10]).tolist() == [0.05]
    assert find_bounds([10], 5).tolist() == [0.01]


def test_bounds_agree_with_an_independent_simulation() -> None:
    # FAIRNESS: simulated apart, 10^6 draws
    assert find_bounds(LOOKS) == pytest.approx([0.0126, 0.0148, 0.0184, 0.0227], rel=0.04)
    assert find_bounds(LOOKS, 3) == pytest.approx([0.0041, 0.0045, 0.0054, 0.0065], rel=0.05)
    assert find_bounds(LOOKS, 6) == pytest.approx([0.0021, 0.0022, 0.0026, 0.0030], rel=0.07)


def test_pairs_without_a_difference_are_claimed_in_one_of_twenty_cases() -> None:
    p = simulate_p_values(LOOKS, 40_000, np.random.default_rng(1))
    assert (p <= find_bounds(LOOKS)).any(axis=1).mean() == pytest.approx(0.05, abs=0.004)
    assert (p <= 0.05).any(axis=1).mean() > 0.11  # without bounds


@pytest.mark.parametrize("ratio", [1.0, 2.0, 5.0])
def test_the_bounds_hold_for_unpaired_arms(ratio: float) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(20_000, 20)), ratio * rng.normal(size=(20_000, 20))
    p = np.stack([welch_test(summarize(a[:, :n]), summarize(b[:, :n])).p for n in LOOKS], axis=1)
    assert (p <= find_bounds(LOOKS)).any(axis=1).mean() < 0.057


def test_one_sided_tests_at_the_same_bounds_err_no_more_often() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40_000, 20)) + 1.0  # on the margin: the means are 1 apart
    p = np.stack([paired_test(summarize(x[:, :n])).tost_p(1.0) for n in LOOKS], axis=1)
    assert (p <= find_bounds(LOOKS)).any(axis=1).mean() < 0.054


@settings(max_examples=10, deadline=None)
@given(st.floats(0.001, 0.2), st.integers(2, 5))
def test_each_look_spends_its_part(alpha: float, n_looks: int) -> None:
    p = np.random.default_rng(0).uniform(size=(20_000, n_looks))
    bounds = spend_evenly(p, alpha)
    open_draws = np.ones(len(p), bool)
    for look in range(n_looks):
        claimed = open_draws & (p[:, look] <= bounds[look])
        assert claimed.mean() == pytest.approx(alpha / n_looks, abs=0.003)
        open_draws &= ~claimed


def test_a_design_that_is_not_shipped_is_simulated() -> None:
    bounds = find_bounds((3, 5))
    assert bounds[0] == pytest.approx(0.025)
    assert 0.025 < bounds[1] < 0.05
