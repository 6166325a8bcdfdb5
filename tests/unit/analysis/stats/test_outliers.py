import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, median_abs_deviation

from analysis.stats.outliers import (
    deviations,
    find_worst,
    is_collapsed,
    is_far,
    lost_runs_p,
    medians,
)

NAN = np.nan


def test_medians_are_those_of_numpy_without_what_is_missing() -> None:
    drawn = np.random.default_rng(0).normal(size=(30, 9))
    drawn[np.random.default_rng(1).random(drawn.shape) < 0.3] = NAN
    assert medians(drawn) == pytest.approx(np.nanmedian(drawn, axis=1))
    assert np.isnan(medians(np.full((2, 3), NAN))).all()
    assert np.isnan(medians(np.zeros((2, 0)))).all()


def test_deviations_are_in_median_absolute_deviations() -> None:
    drawn = np.random.default_rng(0).normal(size=(1, 9))
    scale = median_abs_deviation(drawn[0], scale="normal")
    assert deviations(drawn)[0] == pytest.approx((drawn[0] - np.median(drawn)) / scale, rel=1e-4)


def test_a_collapse_is_far_and_on_the_bad_side_alone_collapsed() -> None:
    values = np.array([[100.0, 100.5, 99.6, 100.2, 99.8, 180.0]])
    assert np.flatnonzero(is_far(values)[0]).tolist() == [5]
    assert [int(is_collapsed(values, side).sum()) for side in (1, -1, 0)] == [1, 0, 1]


def test_without_a_scale_none_is_far() -> None:
    few = np.array([[1.0, 1.1, 1.2, 99.0, NAN]])
    assert not is_far(few).any()
    assert not is_far(np.array([[0.93, 0.93, 0.93, 0.93, 0.9301]])).any()
    assert not is_far(np.zeros((2, 0))).any()


@pytest.mark.parametrize(("n", "share"), [(5, 0.051), (10, 0.005)])
def test_normal_arms_have_few_far_seeds(n: int, share: float) -> None:
    drawn = np.random.default_rng(0).normal(size=(40_000, n))
    assert is_far(drawn).any(axis=1).mean() == pytest.approx(share, rel=0.15)


def test_the_worst_run_is_the_last_in_its_direction() -> None:
    values = np.array([[3.0, 1.0, NAN], [NAN, NAN, NAN]])
    high, place = find_worst(values, 1)
    assert (high[0], place[0]) == (3, 0)
    assert np.isnan(high[1])
    assert find_worst(values, -1)[0][0] == 1
    assert np.isnan(find_worst(values, 0)[0]).all()


def test_lost_runs_are_compared_by_fishers_exact_test() -> None:
    counts = pd.DataFrame([[5, 5, 0, 10], [0, 10, 0, 10], [1, 9, 2, 8], [5, 5, 0, 10]])
    found = lost_runs_p(counts)
    assert (
        found[0]
        == found[3]
        == pytest.approx(fisher_exact(np.array([[5, 5], [0, 10]])).pvalue)
        == pytest.approx(0.0325, abs=1e-4)
    )
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(1.0)
