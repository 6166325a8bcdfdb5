"""Welch's test from summary numbers, compared with R, with tests of the runs, and by hand."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind

from analysis.stats import summary_tests
from analysis.stats.summary_tests import Floats, SampleSummary

# Student (1908), Biometrika 6:1: extra hours of sleep under two drugs; R's data set `sleep`.
ONE = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
OTHER = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def numbers(*samples: Floats) -> SampleSummary:
    """The summary of samples: n, mean, SD."""
    n = np.array([len(sample) for sample in samples])
    return SampleSummary(
        n, np.array([s.mean() for s in samples]), np.array([s.std(ddof=1) for s in samples])
    )


def test_sleep_as_in_r() -> None:
    """t.test(extra ~ group, sleep): t = -1.8608, df = 17.776, p-value = 0.07939, [-3.3654832,
    0.2054832].
    """
    one, other = numbers(ONE), numbers(OTHER)
    test = summary_tests.welch_test(one, other)
    assert test.p == pytest.approx(0.07939, abs=5e-6)
    assert test.df == pytest.approx(17.776, abs=5e-4)
    assert np.ravel(test.interval) == pytest.approx([-3.3654832, 0.2054832], abs=5e-8)


def test_as_a_test_that_sees_the_runs() -> None:
    draw = np.random.default_rng(7)
    pairs = [
        (draw.normal(0, 1, n), draw.normal(0.3, 2, m)) for n, m in ((5, 10), (10, 5), (7, 100))
    ]
    ours, theirs = (numbers(*samples) for samples in zip(*pairs, strict=True))
    test = summary_tests.welch_test(ours, theirs)
    low_high = np.transpose(test.interval)
    same = test.tost_p(np.full(3, 0.9))
    for place, (one, other) in enumerate(pairs):
        seen = stats.ttest_ind(one, other, equal_var=False)
        assert test.p[place] == pytest.approx(seen.pvalue)
        assert low_high[place] == pytest.approx(list(seen.confidence_interval()))
        assert same[place] == pytest.approx(ttost_ind(one, other, -0.9, 0.9, usevar="unequal")[0])


def test_no_distance_is_no_equivalence() -> None:
    same = numbers(ONE)
    test = summary_tests.welch_test(same, same)
    assert test.tost_p(1e-9) > 0.49
    assert test.tost_p(9.0) < 1e-6
    assert summary_tests.welch_test(numbers(ONE + 20), same).tost_p(9.0) > 0.99


def test_prediction_interval_is_that_of_a_constant_regression() -> None:
    fitted = sm.OLS(OTHER, np.ones(10)).fit().get_prediction([[1.0]]).conf_int(obs=True, alpha=0.05)
    assert np.ravel(summary_tests.prediction_interval(numbers(OTHER))) == pytest.approx(fitted[0])
