import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from analysis.stats.sequential.anytime import AnytimeTest, anytime_p, critical_t, e_value


@pytest.mark.parametrize(("t", "n"), [(0.3, 20), (2.0, 5), (-2.0, 5), (6.0, 10)])
def test_the_closed_form_is_the_bayes_factor(t: float, n: int) -> None:
    def integrand(effect: float) -> float:
        shifted: float = stats.nct.pdf(t, n - 1, effect * np.sqrt(n))
        return shifted * float(stats.norm.pdf(effect))

    alternative = integrate.quad(integrand, -10, 10, limit=200)[0]
    null = stats.t.pdf(t, n - 1)
    assert e_value(np.array([t]), np.array([n]))[0] == pytest.approx(alternative / null)


@given(st.floats(0, 50), st.integers(2, 100))
def test_p_is_a_p_and_falls_with_t(t: float, n: int) -> None:
    p, further = anytime_p(np.array([t, t + 1]), np.array([n, n]))
    assert 0 < further <= p <= 1


@given(st.integers(5, 200), st.floats(0.001, 0.1))
def test_the_interval_ends_where_p_is_alpha(n: int, alpha: float) -> None:
    critical = critical_t(np.array([n]), alpha)
    if np.isfinite(critical[0]):
        assert anytime_p(critical, np.array([n]))[0] == pytest.approx(alpha)


def test_looking_after_every_seed_errs_in_less_than_one_of_twenty_cases() -> None:
    x = np.random.default_rng(5).normal(size=(20_000, 30))
    n = np.arange(1, 31, dtype=float)
    sums, squares = x.cumsum(1), (x**2).cumsum(1)
    with np.errstate(all="ignore"):
        t = sums / np.sqrt(n * (squares - sums**2 / n) / (n - 1))
    p = anytime_p(t[:, 2:], n[2:])
    assert (p <= 0.05).any(axis=1).mean() < 0.05
    fixed = np.asarray(2 * stats.t.sf(np.abs(t[:, 2:]), n[2:] - 1))
    assert (fixed <= 0.05).any(axis=1).mean() > 0.15


def test_equivalence_needs_a_small_difference() -> None:
    narrow = AnytimeTest.of(np.random.default_rng(0).normal(0, 0.01, 20))
    assert narrow.equivalence_p(0.5) < 0.001
    assert narrow.equivalence_p(abs(narrow.mean) / 2) == 1.0
    low, high = narrow.interval()
    assert low < narrow.mean < high


def test_too_few_or_equal_differences_have_no_p() -> None:
    assert np.isnan(AnytimeTest.of(np.array([1.0])).p)
    assert np.isnan(AnytimeTest.of(np.array([1.0, 1.0])).p)
