"""Page's trend test and slopes per doubling, in numbers and words."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import page_trend_test, rankdata
from statsmodels.formula.api import mixedlm

from analysis.comparison.trend_verdict import TREND_COLUMNS, estimate_trend
from analysis.frames.metrics import GAIN, METRIC_BY_COLUMN
from analysis.stats.trend_tests import page_trend, slopes

RNG = np.random.default_rng
STEPS = np.array([50.0, 100.0, 200.0])
RATINGS = np.array(
    [
        [3, 4, 3],
        [2, 2, 4],
        [3, 3, 5],
        [1, 3, 2],
        [2, 3, 2],
        [2, 4, 5],
        [1, 2, 4],
        [3, 4, 4],
        [2, 4, 5],
        [1, 3, 4],
    ]
).astype(float)


@pytest.mark.parametrize("sign", [1, -1])
def test_pages_trend_without_ties_is_scipys_doubled(sign: int) -> None:
    values = sign * (RNG(0).normal(size=(6, 4)) + 0.5 * np.arange(4))
    expected = page_trend_test(values if sign > 0 else values[:, ::-1], method="exact").pvalue
    assert page_trend(values) == pytest.approx((2 * expected, sign))


def test_documented_ratings_have_a_smaller_p_than_without_ties() -> None:
    """The ratings of scipy's page_trend_test, L = 133.5: the plain table gives 0.0018191, and knows
    no ties.
    """
    found, way = page_trend(RATINGS)
    draws = RNG(0).permuted(
        np.repeat(rankdata(RATINGS, axis=1)[None], 100_000, axis=0), axis=2
    ) @ np.arange(1, 4)
    assert (way, found / 2 < 0.0018191161948127822) == (1, True)
    assert found / 2 == pytest.approx((draws.sum(axis=1) >= 133.5).mean(), abs=2e-4)
    assert page_trend(-RATINGS) == pytest.approx((found, -1))


def test_a_trend_without_exception_by_hand() -> None:
    """Six orders of three ranks, one of them perfect: three seeds that all have it, p = 1/6³,
    either way 2/6³.
    """
    assert page_trend(np.array([[1.0, 2.0, 3.0]] * 3))[0] == pytest.approx(2 / 6**3)


def test_ties_have_the_p_of_all_orders_of_the_tied_ranks() -> None:
    """Two seeds, one with a tie, and all 36 pairs of their orders counted."""
    values = np.array([[1.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    ranks = [(1, 2.5, 2.5), (1, 2, 3)]
    seen = sum(rank * step for row in ranks for step, rank in enumerate(row))
    orders = list(product(*map(permutations, ranks)))
    counted = sum(
        sum(rank * step for row in pair for step, rank in enumerate(row)) >= seen for pair in orders
    )
    assert page_trend(values) == pytest.approx((2 * counted / len(orders), 1))


def test_p_holds_its_level_under_ties() -> None:
    """The plain table counts orders that ties make impossible: its p is too large."""
    tied = np.array(
        [[0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 1, 1, 0, 1]],
        dtype=float,
    )
    plain = 2 * page_trend_test(tied, method="exact").pvalue
    draws = RNG(0).permuted(np.repeat(tied[None], 40_000, axis=0), axis=2) @ np.arange(5)
    seen = (tied @ np.arange(5)).sum()
    assert page_trend(tied)[0] < plain
    assert page_trend(tied)[0] / 2 == pytest.approx((draws.sum(axis=1) >= seen).mean(), abs=0.01)


def test_equal_but_for_rounding_is_a_tie() -> None:
    gains = np.array([[0.9284 - 0.9, 0.0284, 0.0284]] * 6)
    assert page_trend(gains)[0] == 1


def test_many_steps_have_the_normal_law_of_the_same_orders() -> None:
    values = RNG(3).normal(size=(12, 9)) + 0.15 * np.arange(9)
    assert page_trend(values)[0] == pytest.approx(
        2 * page_trend_test(values, method="asymptotic").pvalue
    )
    assert page_trend(np.ones((6, 9)))[0] == 1


def test_a_slope_that_contradicts_the_ranks_is_reported() -> None:
    """Nine seeds rise by 0.1 a step, one ends far below: the ranks rise, the mean slope falls."""
    values = 100 + 0.1 * np.arange(4)[:, None] + RNG(0).normal(scale=0.01, size=(4, 10))
    values[3, 9] = 60
    found = estimate_trend(values, np.array([1.0, 2.0, 4.0, 8.0]), METRIC_BY_COLUMN["nelbo"], "β")
    assert (found["trend"], found["slope"] < 0) == ("rises", True)
    assert found["trend_text"].endswith(
        "; the ranks and the mean slope disagree: the slope's interval holds 0"
    )
    agreed = estimate_trend(
        values[:, :9], np.array([1.0, 2.0, 4.0, 8.0]), METRIC_BY_COLUMN["nelbo"], "β"
    )
    assert "disagree" not in agreed["trend_text"]


def test_the_slope_is_that_of_a_mixed_model() -> None:
    values = RNG(0).normal(size=(12, 4)) + RNG(1).normal(size=(12, 1)) * 3 + np.arange(4) * 0.7
    long = pd.DataFrame(
        {"y": values.ravel(), "x": np.tile(np.arange(4.0), 12), "seed": np.repeat(np.arange(12), 4)}
    )
    fitted = mixedlm("y ~ x", long, groups=long["seed"]).fit()
    assert slopes(values, np.array([1.0, 2.0, 4.0, 8.0])).mean() == pytest.approx(
        fitted.params["x"], abs=1e-6
    )


def test_a_trend_is_reported_with_its_slope_test_and_n() -> None:
    values = np.array([[0.20], [0.15], [0.10]]) + RNG(0).normal(scale=0.002, size=6)
    found = estimate_trend(values, STEPS, GAIN, "the label budget")
    assert list(found) == TREND_COLUMNS
    assert (found["trend"], found["trend_n"]) == ("falls", 6)
    assert found["trend_text"] == (
        "falls with the label budget: −5.00 points [−5.00, −5.00] per doubling of the label "
        "budget, "
        "Page's trend test, n = 6, p = 4e-5"
    )


def test_a_seed_that_lacks_a_step_is_in_no_trend() -> None:
    values = np.arange(3.0)[:, None] + RNG(0).normal(size=5)
    values[1, 0] = np.nan
    found = estimate_trend(values, STEPS, METRIC_BY_COLUMN["nelbo"], "β")
    assert (found["trend"], found["trend_n"]) == ("too few seeds", 4)
    assert (
        found["trend_text"]
        == "too few seeds for a trend (4 have a result throughout, no verdict below 5)"
    )


def test_one_step_is_no_trend() -> None:
    found = estimate_trend(np.ones((1, 6)), STEPS[:1], METRIC_BY_COLUMN["nelbo"], "β")
    assert found["trend_text"] == "too few values of β for a trend"


def test_two_steps_have_the_paired_t_for_their_trend() -> None:
    values = np.stack([np.zeros(6), 1 + RNG(0).normal(scale=0.1, size=6)])
    found = estimate_trend(values, STEPS[:2], METRIC_BY_COLUMN["nelbo"], "β")
    assert found["trend"] == "rises"
    assert found["trend_p"] == found["slope_p"]
    assert "paired t, n = 6" in found["trend_text"]
