"""Page's trend test, slopes per doubling, and what they say in words."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import mixedlm

from analysis.metrics import BY_COLUMN, GAIN
from analysis.ordered import TREND, page, slopes, trend

RNG = np.random.default_rng
STEPS = np.array([50.0, 100.0, 200.0])
RATINGS = np.array(
    [[3, 4, 3], [2, 2, 4], [3, 3, 5], [1, 3, 2], [2, 3, 2], [2, 4, 5], [1, 2, 4], [3, 4, 4], [2, 4, 5], [1, 3, 4]]
).astype(float)


def test_pages_trend_is_the_documented_one_doubled() -> None:
    """The ratings of scipy's page_trend_test: L = 133.5, exact p = 0.0018191 one-sided."""
    assert page(RATINGS) == pytest.approx((2 * 0.0018191161948127822, 1))
    assert page(-RATINGS) == pytest.approx((2 * 0.0018191161948127822, -1))


def test_a_trend_without_exception_by_hand() -> None:
    """Six orders of three ranks, one of them perfect: three seeds that all have it, p = 1/6³, either way 2/6³."""
    assert page(np.array([[1.0, 2.0, 3.0]] * 3))[0] == pytest.approx(2 / 6**3)


def test_the_slope_is_that_of_a_mixed_model() -> None:
    values = RNG(0).normal(size=(12, 4)) + RNG(1).normal(size=(12, 1)) * 3 + np.arange(4) * 0.7
    long = pd.DataFrame({"y": values.ravel(), "x": np.tile(np.arange(4.0), 12), "seed": np.repeat(np.arange(12), 4)})
    fitted = mixedlm("y ~ x", long, groups=long["seed"]).fit()
    assert slopes(values, np.array([1.0, 2.0, 4.0, 8.0])).mean() == pytest.approx(fitted.params["x"], abs=1e-6)


def test_a_trend_is_told_with_its_slope_test_and_n() -> None:
    values = np.array([[0.20], [0.15], [0.10]]) + RNG(0).normal(scale=0.002, size=6)
    found = trend(values, STEPS, GAIN, "the label budget")
    assert list(found) == TREND
    assert (found["trend"], found["trend_n"]) == ("falls", 6)
    assert found["trend_text"] == (
        "falls with the label budget: −5.00 points [−5.00, −5.00] per doubling of the label budget, "
        "Page's trend test, n = 6, p = 4e-5"
    )


def test_a_seed_that_lacks_a_step_is_in_no_trend() -> None:
    values = np.arange(3.0)[:, None] + RNG(0).normal(size=5)
    values[1, 0] = np.nan
    found = trend(values, STEPS, BY_COLUMN["nelbo"], "β")
    assert (found["trend"], found["trend_n"]) == ("too few seeds", 4)
    assert found["trend_text"] == "too few seeds for a trend (4 have a result throughout, no verdict below 5)"


def test_one_step_is_no_trend() -> None:
    found = trend(np.ones((1, 6)), STEPS[:1], BY_COLUMN["nelbo"], "β")
    assert found["trend_text"] == "too few values of β for a trend"


def test_two_steps_have_the_paired_t_for_their_trend() -> None:
    values = np.stack([np.zeros(6), 1 + RNG(0).normal(scale=0.1, size=6)])
    found = trend(values, STEPS[:2], BY_COLUMN["nelbo"], "β")
    assert found["trend"] == "rises"
    assert found["trend_p"] == found["slope_p"]
    assert "paired t, n = 6" in found["trend_text"]
