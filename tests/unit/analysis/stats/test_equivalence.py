from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.stats import equivalence
from tests.unit.analysis.example_frames import SLEEP, spread

A, B = SLEEP[:1], SLEEP[1:]


def test_welchs_tost_gives_the_published_p() -> None:
    """Lakens (2017), Soc. Psychol. Personal. Sci. 8:355: Moery and Calin-Jageman's data, t(181) =
    2.69, p = .004.
    """
    margin = 0.43 * np.sqrt((0.95**2 + 0.83**2) / 2)
    found = equivalence.welch(
        spread(5.25, 0.95, 95)[None], spread(5.22, 0.83, 89, seed=1)[None], margin
    )
    assert found[0] == pytest.approx(0.0039, abs=1e-4)


@pytest.mark.parametrize("margin", [0.5, 2.0, 3.0])
def test_it_is_the_larger_of_two_one_sided_tests(margin: float) -> None:
    above, below = stats.ttest_rel(A[0] + margin, B[0]), stats.ttest_rel(A[0] - margin, B[0])
    assert equivalence.paired(A, B, margin)[0] == pytest.approx(
        max(one_sided(above, 1), one_sided(below, -1))
    )
    above = stats.ttest_ind(A[0] + margin, B[0], equal_var=False)
    below = stats.ttest_ind(A[0] - margin, B[0], equal_var=False)
    assert equivalence.welch(A, B, margin)[0] == pytest.approx(
        max(one_sided(above, 1), one_sided(below, -1))
    )


def one_sided(found: Any, sign: int) -> float:
    """The p of a t-test in one direction."""
    return float(stats.t.sf(sign * found.statistic, found.df))


def test_a_small_p_means_a_90_percent_interval_within_the_margin() -> None:
    low, high = stats.ttest_rel(A[0], B[0]).confidence_interval(0.9)
    assert high < 0
    assert (
        equivalence.paired(A, B, -low + 1e-9)[0] < 0.05 < equivalence.paired(A, B, -low - 1e-9)[0]
    )


def test_without_spread_the_difference_decides() -> None:
    same = np.full((1, 5), 2.0)
    for test, floor in ((equivalence.paired, 1 / 2**5), (equivalence.welch, 1 / 252)):
        assert test(same, same, 0.1)[0] == floor
        assert test(same + 1, same, 0.1)[0] == 1


def test_one_seed_has_no_p() -> None:
    assert np.isnan(equivalence.paired(A[:, :1], B[:, :1], 1.0)[0])


def test_many_at_once_are_as_one_by_one() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 9, 6))
    for test in (equivalence.paired, equivalence.welch):
        assert test(a, b, 1.0)[4] == pytest.approx(test(a[4:5], b[4:5], 1.0)[0])
