import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.nonparametric import rank_compare_2indep

from analysis.stats import permutation
from analysis.stats.differences import Floats, hedges_g, paired, superiority, welch
from tests.unit.analysis.example_frames import SLEEP, spread

A, B = SLEEP[:1], SLEEP[1:]
SAMPLES = arrays(np.float64, (2, 6), elements=st.integers(-1000, 1000).map(float))


def test_students_sleep_data_give_what_r_gives_paired() -> None:
    found = paired(A, B)
    assert found.difference[0] / found.se[0] == pytest.approx(-4.0621, abs=5e-5)
    assert found.p[0] == pytest.approx(0.002833, abs=5e-7)
    assert (found.low[0], found.high[0]) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    assert found.df[0] == 9
    assert found.correlation[0] == pytest.approx(0.7951702, abs=5e-8)


def test_students_sleep_data_give_what_r_gives_unpaired() -> None:
    found = welch(A, B)
    assert found.difference[0] / found.se[0] == pytest.approx(-1.8608, abs=5e-5)
    assert found.p[0] == pytest.approx(0.07939, abs=5e-6)
    assert found.df[0] == pytest.approx(17.776, abs=5e-4)
    assert (found.low[0], found.high[0]) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)
    assert np.isnan(found.correlation[0])


def test_a_case_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, SD 1, SE 1/√3, t = 2√3 on 2 degrees of freedom, 4.302653 either
    way.
    """
    found = paired(np.array([[2.0, 4.0, 6.0]]), np.array([[1.0, 2.0, 3.0]]))
    assert found.difference[0] == 2
    assert found.se[0] == pytest.approx(3**-0.5)
    assert found.high[0] == pytest.approx(2 + 4.302653 * 3**-0.5, abs=1e-6)
    assert found.correlation[0] == pytest.approx(1)


def test_hedges_g_of_independent_samples_is_the_published_one() -> None:
    """Borenstein et al. (2009), chapter 4: d = 0.5970, J = 0.9923, g = 0.5924."""
    found = welch(spread(103, 5.5, 50)[None], spread(100, 4.5, 50, seed=1)[None])
    assert found.g[0] == pytest.approx(0.5924, abs=5e-5)


def test_hedges_g_of_pairs_is_in_the_sd_within_the_arms() -> None:
    """SDs of 1 and 2: the root of the mean variance, √2.5, whatever the correlation; n = 50, J(49)
    = 0.9846.
    """
    first = spread(0, 1, 50)
    for noise in (0.1, 3.0):
        second = first + noise * spread(0, 1, 50, seed=1)
        second = 1 + 2 * (second - second.mean()) / second.std(ddof=1)
        assert paired(second[None], first[None]).g[0] == pytest.approx(
            0.9846 / np.sqrt(2.5), abs=5e-5
        )


def test_hedges_g_of_pairs_is_the_published_one() -> None:
    """Borenstein et al. (2009), chapter 4: r = 0.7, SD of the differences 5.5, n = 50: d = 0.4225,
    g = 0.4160.
    """
    first, noise = spread(0, 1, 50), spread(0, 1, 50, seed=1)
    noise = spread(0, 1, 50, seed=1) - stats.linregress(first, noise).slope * first
    second = 0.7 * first + np.sqrt(1 - 0.49) * noise / noise.std(ddof=1)
    within = 5.5 / np.sqrt(2 * (1 - 0.7))
    found = paired((103 + within * first)[None], (100 + within * second)[None])
    assert found.correlation[0] == pytest.approx(0.7)
    assert found.g[0] == pytest.approx(0.4160, abs=5e-5)


def test_the_small_sample_correction_makes_g_unbiased() -> None:
    drawn = np.random.default_rng(0).normal(size=(2, 40_000, 5))
    mean = hedges_g(drawn[0] + 1, drawn[1], np.full(40_000, 8.0)).mean()
    assert mean == pytest.approx(1, abs=0.01)  # without J it would be 1.11


def test_the_probability_of_superiority_is_that_of_statsmodels() -> None:
    assert superiority(A, B)[0] == pytest.approx(rank_compare_2indep(A[0], B[0]).prob1)


def test_without_overlap_the_probability_of_superiority_is_one() -> None:
    values = np.array([[1.0, 2.0, 3.0]])
    assert superiority(values + 9, values)[0] == 1
    assert superiority(values, values + 9)[0] == 0
    assert superiority(values, values)[0] == 0.5


@pytest.mark.parametrize("pairs", range(1, 14))
def test_the_exact_test_needs_six_pairs_and_reaches_its_floor(pairs: int) -> None:
    ones = np.arange(pairs, dtype=float)[None]
    found = paired(ones + 1 + ones / 100, ones)
    assert found.p_floor[0] == 2 / 2**pairs
    assert (
        found.p_exact[0] == pytest.approx(2 / 2**pairs)
        if pairs >= 6
        else np.isnan(found.p_exact[0])
    )


def test_the_exact_test_tries_every_sign() -> None:
    signs = np.array(np.meshgrid(*[[1, -1]] * 10)).reshape(10, -1).T
    means = np.abs((signs * (A - B)[0]).mean(axis=1))
    assert paired(A, B).p_exact[0] == pytest.approx((means >= abs((A - B).mean()) - 1e-9).mean())


def test_many_at_once_are_as_one_by_one() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 300, 7))
    for test in (paired, welch):
        for name, many in vars(test(a, b)).items():
            one = vars(test(a[270:271], b[270:271]))[name]
            assert many[270:271] == pytest.approx(one, nan_ok=True), name


def test_equal_samples_have_p_one_and_no_width() -> None:
    for test in (paired, welch):
        found = test(np.full((1, 5), 3.1), np.full((1, 5), 3.1))
        assert (found.p[0], found.low[0], found.high[0]) == (1, 0, 0)
        assert np.isnan(found.g[0])


def test_a_difference_that_never_varies_is_tested_by_its_signs() -> None:
    found = paired(A + 0.3, A)
    assert found.p[0] == 2 / 2**10
    assert found.low[0] == found.high[0] == pytest.approx(0.3)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_seeds_give_a_difference_at_most(n: int) -> None:
    a, b = np.full((1, n), 3.0), np.full((1, n), 1.0)
    for test in (paired, welch):
        found = test(a, b)
        assert found.difference[0] == 2 if n else np.isnan(found.difference[0])
        assert np.isnan([found.se[0], found.p[0], found.low[0], found.g[0], found.df[0]]).all()


def test_two_seeds_are_enough_for_an_interval() -> None:
    found = paired(np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]]))
    assert found.high[0] == pytest.approx(2 + 12.7062, abs=1e-4)
    assert np.isnan(found.correlation[0])


@settings(deadline=None, max_examples=60)
@given(SAMPLES)
def test_swapping_the_arms_turns_every_sign(samples: Floats) -> None:
    a, b = samples[:1], samples[1:]
    for test in (paired, welch):
        one, other = test(a, b), test(b, a)
        assert one.difference[0] == pytest.approx(-other.difference[0])
        assert one.low[0] == pytest.approx(-other.high[0], nan_ok=True)
        assert one.p[0] == pytest.approx(other.p[0], nan_ok=True)
        assert one.g[0] == pytest.approx(-other.g[0], nan_ok=True)
        assert one.superiority[0] == pytest.approx(1 - other.superiority[0])


@settings(deadline=None, max_examples=60)
@given(SAMPLES, st.integers(-500, 500), st.sampled_from([0.5, 2.0, 8.0]))
def test_shift_and_scale_change_nothing_but_the_unit(
    samples: Floats, shift: float, scale: float
) -> None:
    a, b = samples[:1], samples[1:]
    for test in (paired, welch):
        one, other = test(a, b), test(scale * a + shift, scale * b + shift)
        assert scale * one.difference[0] == pytest.approx(other.difference[0], abs=1e-9)
        assert scale * one.low[0] == pytest.approx(other.low[0], abs=1e-6)
        for name in ("p", "g", "superiority", "correlation", "p_exact"):
            assert vars(one)[name][0] == pytest.approx(
                vars(other)[name][0], nan_ok=True, abs=1e-9
            ), name


@settings(deadline=None, max_examples=30)
@given(SAMPLES, st.permutations(range(6)))
def test_the_order_of_the_pairs_does_not_matter(samples: Floats, order: list[int]) -> None:
    one, other = paired(samples[:1], samples[1:]), paired(samples[:1, order], samples[1:, order])
    assert one.p[0] == pytest.approx(other.p[0], abs=1e-12)


def test_so_many_seeds_are_not_permuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permutation, "MAX_SEEDS", 7)
    a, b = np.random.default_rng(0).normal(size=(2, 1, 8))
    for found in (paired(a, b), welch(a, b), welch(a[:, :7], b)):
        assert np.isnan(found.p_exact[0])
        assert np.isfinite(found.p[0])
    assert np.isfinite(paired(a[:, :7], b[:, :7]).p_exact[0])
