"""Estimates compared with results computed by hand, and properties of all estimates."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.frames.arm_table import count_cells, estimate_arms
from analysis.rendering.numbers import format_estimate
from analysis.stats.estimates import estimate_means
from tests.unit.analysis.conftest import FrameMaker, made, row

LOSSES = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=30)


def one(values: list[float]) -> "pd.Series[float]":
    """The estimate of these values."""
    return estimate_means(pd.DataFrame({"group": 0, "value": values}), ["group"], "value").iloc[0]


def test_by_hand() -> None:
    """Of 2, 4, 9: mean 5, SD √((9 + 1 + 16) / 2) = √13, SE √(13/3); the table of t says 4.3027 at 2
    degrees.
    """
    found = one([2, 4, 9])
    assert found["n"] == 3
    assert found["mean"] == pytest.approx(5)
    assert found["sd"] == pytest.approx(3.605551, abs=1e-6)
    assert found["se"] == pytest.approx(2.081666, abs=1e-6)
    assert found["low"] == pytest.approx(5 - 4.302653 * 2.081666, abs=1e-5)
    assert found["high"] == pytest.approx(5 + 4.302653 * 2.081666, abs=1e-5)


def test_ten_runs_by_hand() -> None:
    """Of 1 to 10: SD √(82.5 / 9), and 2.2622 is t at 9 degrees of freedom, not the normal 1.96."""
    found = one([float(value) for value in range(1, 11)])
    assert found["sd"] == pytest.approx(3.027650, abs=1e-6)
    assert found["se"] == pytest.approx(0.957427, abs=1e-6)
    assert found["high"] - found["mean"] == pytest.approx(2.262157 * 0.957427, abs=1e-5)


def test_one_run_has_a_mean_and_nothing_else() -> None:
    found = one([99.5])
    assert (found["n"], found["mean"]) == (1, 99.5)
    assert found[["sd", "se", "low", "high"]].isna().all()


def test_missing_values_are_not_counted() -> None:
    assert one([1.0, math.nan, 3.0])[["n", "mean"]].tolist() == [2, 2]
    assert one([math.nan])["n"] == 0


@given(LOSSES)
def test_same_as_scipy(values: list[float]) -> None:
    found = one(values)
    assert found["se"] == pytest.approx(stats.sem(values), rel=1e-6, abs=1e-6)
    if found["se"] > 1e-3:
        low, high = stats.t.interval(
            0.95, len(values) - 1, loc=found["mean"], scale=stats.sem(values)
        )
        assert (found["low"], found["high"]) == pytest.approx((low, high), rel=1e-6, abs=1e-6)


@given(LOSSES, st.floats(-100, 100), st.floats(0.01, 100))
def test_follows_a_change_of_unit(values: list[float], shift: float, factor: float) -> None:
    before, after = one(values), one([shift + factor * value for value in values])
    assert after["mean"] == pytest.approx(shift + factor * before["mean"], rel=1e-6, abs=1e-6)
    for spread in ("sd", "se"):
        assert after[spread] == pytest.approx(factor * before[spread], rel=1e-6, abs=1e-4)


@given(LOSSES)
def test_the_order_of_seeds_does_not_matter(values: list[float]) -> None:
    assert one(values).to_numpy() == pytest.approx(one(values[::-1]).to_numpy(), rel=1e-6, abs=1e-6)


@given(LOSSES)
def test_the_interval_holds_the_mean_and_is_wider_than_the_error(values: list[float]) -> None:
    found = one(values)
    assert found["low"] <= found["mean"] <= found["high"]
    assert found["high"] - found["mean"] >= 1.95 * found["se"] - 1e-6
    assert found["se"] <= found["sd"] + 1e-12


def test_failed_and_diverged_cells_are_counted_beside(results: FrameMaker) -> None:
    seeds = [row(made("vae", seed)) for seed in (0, 1)]
    bad = [
        row(made("vae", 2), "failed"),
        row(made("vae", 3), "diverged", nelbo=1.0, kl=0.5, rec=0.5),
    ]
    rows = results(*seeds, *bad, row(made("vae", 4), nelbo=None, kl=None, rec=None))
    found = estimate_arms(rows, count_cells(rows), ["nelbo"]).iloc[0]
    assert found[["cells", "ok", "failed", "diverged", "missing", "n"]].tolist() == [
        5,
        3,
        1,
        1,
        1,
        2,
    ]
    assert found["mean"] == pytest.approx(100.2)


def test_arms_go_from_the_smallest_model_to_the_largest(results: FrameMaker) -> None:
    rows = results(
        row(made("ssvae", supervision="supervised"), parameters=30),
        row(made("vae", beta=4.0), parameters=10),
        row(made("gmvae"), parameters=20),
        row(made("vae"), parameters=10),
        row(made("other"), "failed"),
    )
    who = count_cells(rows)
    assert list(zip(who["model"], who["beta"], strict=True)) == [
        ("vae", 1.0),
        ("vae", 4.0),
        ("gmvae", 1.0),
        ("ssvae", 1.0),
        ("other", 1.0),
    ]


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.sampled_from(["SD", "SE"]), st.integers(2, 99))
def test_every_spread_is_printed_with_its_kind_and_n(
    mean: float, spread: float, kind: str, n: int
) -> None:
    text = format_estimate(mean, spread, "SD" if kind == "SD" else "SE", n)
    assert text.endswith(f"({kind}, n = {n})")


def test_no_spread_is_reported_so() -> None:
    assert format_estimate(101.312, math.nan, "SE", 1) == "101.31 (n = 1, no ±)"
    assert format_estimate(101.312, None, "SE", None) == "101.31 (n not stated, no ±)"
    assert format_estimate(math.nan, math.nan, "SE", 0) == "–"
