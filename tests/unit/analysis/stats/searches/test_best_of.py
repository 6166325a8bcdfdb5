from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.searches.best_of import bootstrap_band, expected_best, split_variance

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=7)


@given(VALUES, st.data())
def test_the_expectation_is_the_mean_over_all_choices(
    values: list[float], data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(values)))
    every_best = [min(chosen) for chosen in combinations(values, n)]
    found = expected_best(np.array(values), np.array([n]))[0]
    assert found == pytest.approx(np.mean(every_best), abs=1e-9)


@given(VALUES)
def test_more_trials_are_never_worse(values: list[float]) -> None:
    curve = expected_best(np.array(values), np.arange(1, len(values) + 1))
    assert (np.diff(curve) <= 1e-9).all()
    assert curve[-1] == pytest.approx(min(values))


def test_the_band_holds_the_curve() -> None:
    values, counts = np.random.default_rng(0).gamma(2, size=48), np.arange(1, 9)
    low, high = bootstrap_band(values, counts, np.random.default_rng(1))
    curve = expected_best(values, counts)
    assert ((low < curve) & (curve < high)).all()


def test_variance_is_split_as_by_hand() -> None:
    # means 1 and 5, within-group variances 2 and 2: MSB = 2 * 8 = 16, MSW = 2
    between, within = split_variance([np.array([0.0, 2.0]), np.array([4.0, 6.0])])
    assert (between, within) == pytest.approx(((16 - 2) / 2, 2.0))


def test_single_trainings_say_nothing_of_seeds() -> None:
    between, within = split_variance([np.array([0.0]), np.array([2.0])])
    assert between == pytest.approx(2.0)
    assert np.isnan(within)
    assert np.isnan(split_variance([np.array([1.0, 2.0])])).all()
