import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from analysis.stats.sequential.anytime import anytime_p, e_value, p_of_differences


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


def test_pairs_give_the_p_of_their_t() -> None:
    differences = np.random.default_rng(0).normal(1, 1, 12)
    t = stats.ttest_1samp(differences, 0).statistic
    assert p_of_differences(differences) == pytest.approx(
        float(anytime_p(np.array([t]), np.array([12.0]))[0])
    )


def test_too_few_or_equal_differences_have_no_p() -> None:
    assert np.isnan(p_of_differences(np.array([1.0])))
    assert np.isnan(p_of_differences(np.array([1.0, 1.0])))
