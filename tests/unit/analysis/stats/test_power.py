import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from analysis.stats.differences import paired, welch
from analysis.stats.power import detectable_difference, seeds_needed, t_test_power

ALPHA = np.array([0.05])
ONE = np.ones(1)


@pytest.mark.parametrize(("effect", "seeds"), [(1.0, 10), (0.5, 34), (0.3, 90), (0.8, 15)])
def test_pairs_needed_are_those_of_the_tables(effect: float, seeds: int) -> None:
    assert seeds_needed(effect * ONE, ONE, ONE, ALPHA)[0] == seeds


@pytest.mark.parametrize(("effect", "seeds"), [(1.0, 17), (0.5, 64), (0.8, 26), (0.2, 394)])
def test_seeds_an_arm_are_those_of_cohens_tables(effect: float, seeds: int) -> None:
    """Cohen (1988), table 2.4.1, and G*Power: two samples of one SD; the variances add, and so do
    the freedoms.
    """
    assert seeds_needed(effect * ONE, np.sqrt(2) * ONE, 2 * ONE, ALPHA)[0] == seeds


@pytest.mark.parametrize("n", [2, 3, 5, 10, 100])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 45])
def test_the_detectable_difference_is_found_with_80_percent(n: int, alpha: float) -> None:
    found = detectable_difference(ONE / np.sqrt(n), ONE * (n - 1), ONE * alpha)[0]
    critical = stats.t.isf(alpha / 2, n - 1)
    assert stats.nct.sf(critical, n - 1, found * np.sqrt(n)) == pytest.approx(0.8, abs=1e-9)
    if alpha == 0.05:  # below, statsmodels stops at an effect of ten
        assert found == pytest.approx(
            TTestPower().solve_power(nobs=n, alpha=alpha, power=0.8), rel=1e-4
        )


def test_detectable_difference_of_two_samples_as_statsmodels() -> None:
    found = detectable_difference(ONE * np.sqrt(2 / 10), ONE * 18, ALPHA)[0]
    assert found == pytest.approx(
        TTestIndPower().solve_power(nobs1=10, alpha=0.05, power=0.8), rel=1e-5
    )


@pytest.mark.parametrize("test", [paired, welch])
def test_sd_and_df_per_seed_predict_those_of_more_seeds(test: object) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 3, 8)) * np.array([1.0, 3.0])[:, None, None]
    found = test(a, b)  # type: ignore[operator]
    assert found.se == pytest.approx(found.sd_per_seed / np.sqrt(8))
    assert found.df == pytest.approx(found.df_per_seed * 7)


def test_a_difference_of_nothing_needs_more_seeds_than_there_are() -> None:
    assert seeds_needed(
        np.array([0.0, 1e-9]), np.ones(2), np.ones(2), np.full(2, 0.05)
    ).tolist() == [np.inf, np.inf]


def test_a_clear_difference_still_needs_five() -> None:
    assert seeds_needed(
        np.array([100.0, 1.0]), np.array([1.0, 0.0]), np.ones(2), np.full(2, 0.05)
    ).tolist() == [5, 5]


def test_what_is_unknown_stays_unknown() -> None:
    nan = np.array([np.nan])
    assert np.isnan(detectable_difference(nan, nan, ALPHA)[0])
    assert np.isnan(seeds_needed(nan, ONE, ONE, ALPHA)[0])


def test_the_power_never_falls_with_the_effect() -> None:
    effects = np.linspace(0, 200, 2001)
    for df in (1.0, 4.0, 9.0, 13.3, 100.0):
        found = t_test_power(effects, np.full(2001, df), np.full(2001, 0.05))
        assert (np.diff(found) >= -1e-9).all()
