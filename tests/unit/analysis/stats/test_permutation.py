"""Permutation p-values compared with exact enumeration and known results."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

from analysis.stats.differences import paired, welch
from analysis.stats.permutation import (
    MAX_PERMUTATIONS,
    SAMPLED_P_FLOOR,
    min_sign_flip_p,
    min_two_sample_p,
    sign_flip_p,
    two_sample_p,
)

A = np.array([[9287, 9287, 9300, 9297, 9311, 9320, 9301, 9313]], dtype=float)
B = np.array([[9284, 9282, 9299, 9298, 9301, 9309, 9291, 9314]], dtype=float)


def by_hand(a: list[int], b: list[int]) -> float:
    """p over all signs in whole numbers, which tie exactly."""
    apart = [x - y for x, y in zip(a, b, strict=True)]
    sums = [
        abs(sum(s * d for s, d in zip(way, apart, strict=True)))
        for way in product((1, -1), repeat=len(a))
    ]
    return sum(each >= abs(sum(apart)) for each in sums) / len(sums)


def welch_by_hand(a: list[int], b: list[int]) -> float:
    """p of t² over all divisions in fractions; a spread of zero makes it infinite."""

    def squared(x: list[Fraction], y: list[Fraction]) -> tuple[Fraction, Fraction]:
        means = [sum(each, Fraction()) / len(each) for each in (x, y)]
        parts = [
            sum(((v - m) ** 2 for v in each), Fraction()) / (len(each) * (len(each) - 1))
            for each, m in zip((x, y), means, strict=True)
        ]
        return (means[0] - means[1]) ** 2, parts[0] + parts[1]

    pool = [Fraction(value) for value in (*a, *b)]
    above, below = squared(pool[: len(a)], pool[len(a) :])
    ways = list(combinations(range(len(pool)), len(a)))
    found = [
        squared([pool[i] for i in way], [pool[i] for i in range(len(pool)) if i not in way])
        for way in ways
    ]
    return sum(up * below >= above * down for up, down in found) / len(ways)


def test_accuracies_that_tie_are_counted_as_in_whole_numbers() -> None:
    for scale in (1, 10_000, 100, 3):
        assert sign_flip_p(A / scale, B / scale)[0] == 0.0546875
        assert paired(A / scale, B / scale).p_exact[0] == 0.0546875


@pytest.mark.parametrize("n", [6, 8, 10])
@pytest.mark.parametrize("spread", [5, 30])
def test_every_accuracy_is_as_enumeration_in_whole_numbers(n: int, spread: int) -> None:
    drawn = (
        np.random.default_rng(n + spread).normal(9300, spread, size=(2, 40, n)).round().astype(int)
    )
    found = sign_flip_p(drawn[0] / 10_000, drawn[1] / 10_000)
    for p, a, b in zip(found, *drawn.tolist(), strict=True):
        assert p == by_hand(a, b)


def test_imbalance_ties_as_its_counts_do() -> None:
    """Imbalance is half of a sum of |count / 10,000 − .1|: whole counts over 20,000."""
    drawn = np.random.default_rng(1).integers(800, 820, size=(2, 40, 8))
    found = sign_flip_p(drawn[0] / 20_000, drawn[1] / 20_000)
    assert found.tolist() == [by_hand(a, b) for a, b in zip(*drawn.tolist(), strict=True)]


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 5), (5, 6), (7, 3)])
def test_divisions_are_as_enumeration_in_fractions(n_a: int, n_b: int) -> None:
    rng = np.random.default_rng(n_a)
    for spread in (2, 40):
        a, b = (
            rng.integers(-spread, spread, (6, n_a)),
            rng.integers(-2 * spread, 2 * spread, (6, n_b)) + spread,
        )
        expected = [welch_by_hand(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        x, y = a.astype(np.float64), b.astype(np.float64)
        assert two_sample_p(x, y) == pytest.approx(expected, abs=1e-12)
        assert two_sample_p(0.93 + x / 1e4, 0.93 + y / 1e4) == pytest.approx(expected, abs=1e-12)
        assert (two_sample_p(y, x) == two_sample_p(x, y)).all()


def test_five_against_five_can_reach_its_floor() -> None:
    low = np.arange(5.0)[None]
    assert welch(low, low + 9).p_exact[0] == min_two_sample_p(5, 5) == 2 / 252
    assert min_two_sample_p(5, 6) == 1 / 462
    assert np.isnan(welch(low[:, :4], low + 9).p_exact[0])


def test_many_signs_and_divisions_are_drawn_and_reproducible() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 200, 14))
    for test, floor in (
        (sign_flip_p, min_sign_flip_p(14)),
        (two_sample_p, min_two_sample_p(14, 14)),
    ):
        found = test(a, b)
        assert (found == test(a, b)).all()
        assert (found == test(b, a)).all()
        assert (found[70:71] == test(a[70:71], b[70:71])).all()
        far = test(a + 9, b)  # nothing but our own way, which is drawn now and then, is as extreme
        assert far.min() >= floor
        assert far.max() <= 6 * floor
        assert floor == SAMPLED_P_FLOOR == 1 / (1 + MAX_PERMUTATIONS)
    order = np.random.default_rng(1).permutation(14)
    assert (sign_flip_p(a, b) == sign_flip_p(a[:, order], b[:, order])).all()
    assert (two_sample_p(a, b) == two_sample_p(a[:, order], b)).all()


def test_drawn_signs_are_near_the_exact_p(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (
        np.random.default_rng(2).normal(0.3, 1, size=(2, 50, 10))
        * np.array([1.0, 0.0])[:, None, None]
    )
    exact = sign_flip_p(a, b)
    monkeypatch.setattr("analysis.stats.permutation.MAX_PERMUTATIONS", 1_000)
    assert np.abs(sign_flip_p(a, b) - exact).max() < 0.06


def test_darwins_maize_has_a_p_on_the_other_side_of_the_limit() -> None:
    """Fisher (1935), § 21: 863 of 16,384 ways each side, p = .0527; Student's t has p = .0497."""
    apart = np.array([[49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]], dtype=float)
    found = paired(apart, np.zeros_like(apart))
    assert found.p[0] == pytest.approx(0.0497, abs=5e-5)
    assert found.p_exact[0] == pytest.approx(0.0527, abs=0.007)
    assert found.p_exact[0] > 0.05


def test_the_level_holds_in_equal_laws() -> None:
    drawn = np.random.default_rng(4).lognormal(size=(2, 4_000, 6))
    for test in (sign_flip_p, two_sample_p):
        assert (test(drawn[0], drawn[1]) <= 0.05).mean() < 0.06
