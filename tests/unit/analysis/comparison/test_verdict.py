from typing import Any

import pytest

from analysis.comparison.verdict import describe, format_seeds, outcome
from analysis.frames.metrics import ACCURACY, METRIC_BY_COLUMN
from analysis.rendering.numbers import format_p

NELBO = METRIC_BY_COLUMN["nelbo"]
NAN = float("nan")
USUAL: dict[str, Any] = {
    "design": "paired",
    "n_a": 10,
    "n_b": 10,
    "n_pairs": 10,
    "difference": -2.3,
    "low": -2.6,
    "high": -2.0,
    "p": 4e-9,
    "p_adjusted": 1.2e-8,
    "correction": "holm",
    "comparisons": 3,
    "p_floor": 2 / 2**10,
    "detectable": 0.4,
    "margin": NAN,
    "p_equivalence": NAN,
    "p_equivalence_adjusted": NAN,
    "enough": True,
    "obstacle": "",
    "same": False,
    "seedless": False,
    "constant": False,
    "p_exact": NAN,
}
OPEN: dict[str, Any] = {"difference": -0.1, "low": -0.4, "high": 0.2, "p": 0.5, "p_adjusted": 1.0}


def verdict_and_text(metric: str = "nelbo", **values: Any) -> tuple[str, str]:
    row = USUAL | values
    row["verdict"] = outcome(row, METRIC_BY_COLUMN[metric])
    return row["verdict"], describe(row, METRIC_BY_COLUMN[metric])


def test_better_is_lower_for_a_loss() -> None:
    reason = "better by 2.30 nats [2.00, 2.60], paired t, n = 10, p = 1e-8 (Holm, 3 comparisons)"
    assert verdict_and_text() == ("better", reason)
    assert verdict_and_text(difference=2.3, low=2.0, high=2.6) == (
        "worse",
        reason.replace("better", "worse"),
    )


def test_better_is_higher_for_an_accuracy_and_reported_in_points() -> None:
    found = verdict_and_text("accuracy", difference=0.184, low=0.17, high=0.198)
    assert found == (
        "better",
        "better by 18.4 points [17.0, 19.8], paired t, n = 10, p = 1e-8 (Holm, 3 comparisons)",
    )
    assert verdict_and_text("accuracy", difference=-0.184, low=-0.198, high=-0.17)[0] == "worse"


def test_nothing_shown_says_what_could_have_been() -> None:
    assert verdict_and_text(**OPEN) == (
        "no difference shown",
        "no difference shown (smallest detectable: 0.40): difference −0.10 nats [−0.40, 0.20], "
        "paired t, n = 10, p = 1 (Holm, 3 comparisons)",
    )


def test_a_p_that_only_the_family_takes_away_is_reported() -> None:
    assert "(Holm, 3 comparisons; alone p = 0.03)" in verdict_and_text(p=0.03, p_adjusted=0.09)[1]


def test_equivalence_needs_the_margin() -> None:
    found = verdict_and_text(**OPEN, margin=0.5, p_equivalence=0.005, p_equivalence_adjusted=0.015)
    assert found[0] == "equivalent"
    assert found[1].startswith(
        "equivalent within 0.5 nats: difference −0.10 nats [−0.40, 0.20], TOST, paired t, n = 10, "
    )
    assert "p = 0.015 (Holm, 3 comparisons)" in found[1]
    assert (
        verdict_and_text(**OPEN, margin=0.5, p_equivalence=0.04, p_equivalence_adjusted=0.12)[0]
        == "no difference shown"
    )


def test_a_difference_within_the_margin_counts_as_none() -> None:
    assert (
        verdict_and_text(margin=5.0, p_equivalence=1e-6, p_equivalence_adjusted=1e-6)[0]
        == "equivalent"
    )


@pytest.mark.parametrize(
    ("n", "expected"), [(0, "too few seeds"), (1, "single run"), (3, "too few seeds")]
)
def test_few_seeds_are_described(n: int, expected: str) -> None:
    found = verdict_and_text(enough=False, n_a=n, n_pairs=n, comparisons=0, p=NAN, p_adjusted=NAN)
    assert found[0] == expected
    assert found[1].startswith(
        f"{expected} (n = {n} common seeds of {n} and 10, no verdict below 5): difference −2.30"
    )
    assert "p =" not in found[1]


def test_seeds_that_change_nothing_are_one_run() -> None:
    found = verdict_and_text(seedless=True, low=-2.3, high=-2.3)
    assert found[0] == "single run"
    assert "the seed changes nothing in either arm" in found[1]


def test_other_images_are_not_compared() -> None:
    assert verdict_and_text(obstacle="different lists of images") == (
        "cannot be compared",
        "cannot be compared: different lists of images",
    )


def test_the_floor_of_the_exact_test_is_reported_where_it_binds() -> None:
    reported = "; an exact paired test could not reach .05 (floor 0.062 × 1)"
    assert verdict_and_text(n_a=5, n_b=5, n_pairs=5, p_floor=2 / 2**5, comparisons=1)[1].endswith(
        reported
    )
    assert "floor" not in verdict_and_text()[1]
    assert "floor" not in verdict_and_text(design="welch", p_floor=NAN)[1]
    assert (
        "an exact test could not reach .05 (floor 0.0079 × 7)"
        in verdict_and_text(design="welch", p_floor=2 / 252, comparisons=7)[1]
    )
    # signs are drawn: it is no floor of the test
    assert "floor" not in verdict_and_text(p_floor=1 / 10_000, comparisons=1_000)[1]


def test_unequal_seeds_are_reported() -> None:
    assert "paired t, n = 8 common seeds of 10 and 9, " in verdict_and_text(n_b=9, n_pairs=8)[1]
    assert "Welch's t, n = 10 and 9, " in verdict_and_text(design="welch", n_b=9, n_pairs=0)[1]


def test_a_single_comparison_has_no_correction() -> None:
    assert verdict_and_text(comparisons=1, p_adjusted=4e-9)[1].endswith("p = 4e-9 (1 comparison)")


def test_equal_values_are_reported_as_such() -> None:
    same: dict[str, Any] = {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "p_adjusted": 1.0}
    assert (
        verdict_and_text(**same, same=True)[1]
        == "no difference shown: every seed gave both arms the same value, n = 10"
    )


def test_only_accuracies_rise() -> None:
    assert outcome(USUAL | {"difference": 1.0}, ACCURACY) == "better"
    assert outcome(USUAL | {"difference": 1.0}, NELBO) == "worse"


def test_parts_of_the_bound_are_lower_or_higher_never_better() -> None:
    for metric in ("kl", "rec", "subset_kl", "subset_rec"):
        assert verdict_and_text(metric)[1].startswith("lower by 2.30 nats [2.00, 2.60]")
        assert verdict_and_text(metric, difference=2.3, low=2.0, high=2.6)[1].startswith(
            "higher by 2.30 nats [2.00, 2.60]"
        )


def test_the_exact_p_is_in_the_sentence() -> None:
    assert verdict_and_text(comparisons=1, p_exact=0.002)[1].endswith(
        "(1 comparison); exact p = 0.002"
    )
    assert verdict_and_text(p_exact=0.002)[1].endswith(
        "(Holm, 3 comparisons); exact p = 0.002, unadjusted"
    )
    assert verdict_and_text(p_exact=0.002, p_floor=1 / 10_000)[1].endswith(
        "; permutation p = 0.002, unadjusted"
    )


def test_a_difference_that_does_not_vary_says_so() -> None:
    flat: dict[str, Any] = {
        "constant": True,
        "low": NAN,
        "high": NAN,
        "p": 2 / 2**10,
        "p_adjusted": 2 / 2**10,
    }
    expected = (
        "better by 2.30 nats, which does not vary, sign test, n = 10, p = 0.002 (1 comparison)"
    )
    assert verdict_and_text(**flat, comparisons=1)[1] == expected
    few = flat | {
        "p": 2 / 2**5,
        "p_adjusted": 2 / 2**5,
        "p_floor": 2 / 2**5,
        "n_a": 5,
        "n_b": 5,
        "n_pairs": 5,
    }
    assert verdict_and_text(**few, comparisons=1)[1].startswith(
        "no difference shown: difference −2.30 nats, which does not vary, sign test, n = 5, p = "
        "0.062 (1 comparison)"
    )


def test_equivalence_tells_a_difference_that_it_hides() -> None:
    found = verdict_and_text(margin=5.0, p_equivalence=1e-6, p_equivalence_adjusted=1e-6)[1]
    assert found.startswith(
        "equivalent within 5 nats: yet differs by −2.30 nats [−2.60, −2.00], TOST"
    )


def test_a_margin_of_an_accuracy_is_reported_as_it_was_given() -> None:
    found = verdict_and_text(
        "accuracy", **OPEN, margin=0.005, p_equivalence=1e-3, p_equivalence_adjusted=1e-3
    )[1]
    assert found.startswith("equivalent within 0.5 points (margin 0.005, a fraction): difference")


def test_an_interval_without_zero_is_marked_unadjusted() -> None:
    found = verdict_and_text(difference=0.3, low=0.02, high=0.59, p=0.04, p_adjusted=0.12)[1]
    assert "difference 0.30 nats [0.02, 0.59] unadjusted, paired t" in found
    assert "unadjusted" not in verdict_and_text(**OPEN)[1]


def test_a_p_near_the_limit_shows_its_side() -> None:
    assert [format_p(p) for p in (0.0496, 0.0504, 0.05, 0.0499999996, 0.049, 0.051)] == [
        "p = 0.0496", "p = 0.0504", "p = 0.05", "p = 0.0499999996", "p = 0.049", "p = 0.051",
    ]  # fmt: skip


def test_more_seeds_than_there_are_is_not_unknown() -> None:
    assert [format_seeds(n) for n in (12.0, float("inf"), "more than 100000", NAN, None)] == [
        "12", "more than 100000", "more than 100000", "–", "–",
    ]  # fmt: skip
