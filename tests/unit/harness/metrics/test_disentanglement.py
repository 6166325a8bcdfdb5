"""Disentanglement of made-up codes whose answer is known."""

import numpy as np
import pytest

from harness.data import loading
from harness.metrics.disentanglement import (
    disentanglement_and_completeness,
    forest_importance,
    mutual_information_gap,
    separated_predictability,
)

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(0, 4, (4000, 2))
NOISE = RNG.normal(size=(4000, 1))


def test_one_code_for_each_factor_is_disentangled() -> None:
    codes = np.hstack([FACTORS.astype(float), NOISE])
    assert mutual_information_gap(codes, FACTORS) == pytest.approx(1, abs=0.02)
    assert separated_predictability(codes, FACTORS) == pytest.approx(1, abs=0.01)
    importance = forest_importance(codes, FACTORS)
    assert importance.shape == (3, 2)
    disentanglement, completeness = disentanglement_and_completeness(importance)
    assert disentanglement > 0.8
    assert completeness > 0.8


def test_two_copies_of_a_code_have_no_gap() -> None:
    codes = np.hstack([FACTORS, FACTORS]).astype(float)
    assert mutual_information_gap(codes, FACTORS) == pytest.approx(0, abs=1e-9)
    assert separated_predictability(codes, FACTORS) == pytest.approx(0, abs=1e-9)


def test_noise_knows_nothing() -> None:
    codes = RNG.normal(size=(4000, 3))
    assert mutual_information_gap(codes, FACTORS) < 0.01
    assert separated_predictability(codes, FACTORS) < 0.01


def test_the_gap_is_that_of_a_direct_computation() -> None:
    """I(z; v) of a table 2 × 2 that is written out."""
    factor = np.array([[0]] * 50 + [[1]] * 50)
    code = np.array([[0.0]] * 40 + [[1.0]] * 10 + [[0.0]] * 20 + [[1.0]] * 30)
    shares = {(0, 0): 0.4, (1, 0): 0.1, (0, 1): 0.2, (1, 1): 0.3}
    of_code = {0: 0.6, 1: 0.4}
    expected = sum(p * np.log(p / (of_code[z] * 0.5)) for (z, _), p in shares.items()) / np.log(2)
    assert mutual_information_gap(code, factor) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("importance", "expected"),
    [
        (np.eye(3), (1, 1)),
        (np.ones((3, 3)), (0, 0)),
        (np.array([[1.0, 1.0], [0.0, 0.0]]), (0, 1)),
        (np.array([[1.0, 0.0], [1.0, 0.0]]), (1, 0)),
    ],
)
def test_completeness_and_disentanglement_by_hand(
    importance: np.ndarray, expected: tuple[float, float]
) -> None:
    """A code or a factor without importance counts nothing."""
    assert disentanglement_and_completeness(importance) == pytest.approx(expected)


def test_sprites_have_factors() -> None:
    data = loading.load("sprites")
    assert data.test_factors is not None
    assert data.test_factors.shape == (len(data.test_x), len(data.spec.factors))
