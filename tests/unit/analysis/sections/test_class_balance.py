import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, chisquare

from analysis.frames.arm_table import summarize_arms
from analysis.sections import class_balance
from analysis.sections.class_balance import (
    HOMOGENEITY_COLUMNS,
    UNIFORMITY_COLUMNS,
    run_balance_tests,
)
from analysis.stats.uniformity import (
    batched_homogeneity_test,
    homogeneity_test,
    imbalance,
    uniformity_test,
)
from harness.experiment.grid import ComparisonSpec
from tests.unit.analysis.example_frames import table

# The source report's digit counts of 200 samples, digits 0 to 9.
VAE = np.array([12, 12, 26, 30, 23, 15, 17, 19, 20, 26], dtype=float)
GMVAE = np.array([26, 15, 22, 25, 17, 17, 20, 14, 19, 25], dtype=float)


EVEN, TURNED = np.full(10, 1000.0), np.array([1, -1] * 5, dtype=float)


def compare_imbalance(rows: pd.DataFrame, declared: ComparisonSpec) -> pd.DataFrame:
    """The imbalances of these rows, compared."""
    return class_balance.compare_imbalance(rows, summarize_arms(rows), declared)


def counted(counts: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    rows = table({arm: np.zeros(len(of)) for arm, of in counts.items()})
    return rows.assign(
        digit_counts=pd.Series([list(map(int, one)) for of in counts.values() for one in of])
    )


def test_the_source_reports_counts_give_the_published_figures() -> None:
    assert uniformity_test(VAE) == pytest.approx((17.2, 0.046), abs=5e-4)
    assert uniformity_test(GMVAE) == pytest.approx((8.5, 0.48), abs=5e-3)
    chi2, df, p = homogeneity_test(VAE, GMVAE)
    assert (chi2, df, p) == pytest.approx((8.35, 9, 0.50), abs=5e-3)


def test_one_significant_and_the_other_not_is_no_difference() -> None:
    alone, against = run_balance_tests(counted({"vae": [VAE], "gmvae": [GMVAE]}))
    assert list(alone) == UNIFORMITY_COLUMNS
    assert list(against) == HOMOGENEITY_COLUMNS
    assert dict(zip(alone["arm"], alone["p"] < 0.05, strict=True)) == {"vae": True, "gmvae": False}
    assert against["verdict"].tolist() == ["no difference shown"]
    assert against["p"][0] == pytest.approx(homogeneity_test(VAE, GMVAE)[2])


def test_two_by_two_by_hand() -> None:
    """Rows 30, 10 and 10, 30: 20 expected in every place, so 4 · 10² / 20 = 20."""
    assert homogeneity_test(np.array([30.0, 10.0]), np.array([10.0, 30.0]))[:2] == pytest.approx(
        (20, 1)
    )


def test_classes_that_nobody_samples_do_not_count() -> None:
    assert homogeneity_test(np.array([30.0, 10.0, 0.0]), np.array([10.0, 30.0, 0.0]))[
        :2
    ] == pytest.approx((20, 1))
    assert homogeneity_test(np.array([9.0, 0.0]), np.array([7.0, 0.0])) == (0.0, 0, 1.0)


def test_the_family_is_corrected() -> None:
    alone, against = run_balance_tests(counted({"vae": [VAE, VAE], "gmvae": [GMVAE, GMVAE]}))
    assert (alone["arm"] == "vae").sum() == 2
    vae = alone[alone["arm"] == "vae"]
    assert vae["p_adjusted"].tolist() == pytest.approx((2 * vae["p"]).tolist())
    assert len(against) == 2  # seed by seed
    assert (against["p_adjusted"] >= against["p"]).all()


def test_cells_without_counts_have_no_row() -> None:
    rows = counted({"vae": [VAE], "gmvae": [GMVAE]})
    rows.loc[0, "status"] = "failed"
    alone, against = run_balance_tests(rows)
    assert alone["arm"].tolist() == ["gmvae"]
    assert against.empty
    nothing = run_balance_tests(rows.assign(digit_counts=None))
    assert nothing[0].empty
    assert nothing[1].empty


def test_of_many_seeds_the_first_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_balance, "MAX_SEEDS", 2)
    rows = counted({"vae": [VAE] * 3, "gmvae": [GMVAE] * 3})
    alone, against = run_balance_tests(rows.iloc[::-1])
    assert [*alone["seed"]] == [0, 1] * 2
    assert [*against["seed"]] == [0, 1]
    assert compare_imbalance(rows, ComparisonSpec())["n_a"].tolist() == [3]


def test_imbalance_of_data_sets_with_other_classes_is_that_of_each_row() -> None:
    rows = pd.Series([VAE, np.array([3.0, 1.0]), None, GMVAE])
    samples, distances = class_balance._measure_balance(rows.dropna())
    assert samples.tolist() == [VAE.sum(), 4, GMVAE.sum()]
    assert distances.tolist() == [imbalance(VAE), 0.25, imbalance(GMVAE)]


def test_imbalance_by_hand() -> None:
    assert imbalance(np.full(10, 20.0)) == 0
    assert imbalance(np.eye(10)[0] * 200) == pytest.approx(0.9)
    assert np.isnan(imbalance(np.zeros(10)))


def test_seeds_not_samples_say_which_model_is_more_balanced() -> None:
    """With 10,000 samples each, runs differ significantly although the models do not."""
    rng = np.random.default_rng(0)
    drawn = [
        [rng.multinomial(10_000, rng.dirichlet(np.full(10, 100.0))) for _ in range(8)]
        for _ in range(2)
    ]
    rows = counted({"one": drawn[0], "other": drawn[1]})
    assert (run_balance_tests(rows)[1]["verdict"] == "these runs differ").all()
    found = compare_imbalance(rows, ComparisonSpec())
    assert found["verdict"].tolist() == ["no difference shown"]
    skewed = counted(
        {
            "even": [EVEN + seed * TURNED for seed in range(6)],
            "odd": [VAE * 50 + seed * TURNED for seed in range(6)],
        }
    )
    assert compare_imbalance(skewed, ComparisonSpec())["verdict"].tolist() == ["worse"]


def test_sample_counts_must_match_and_judges_are_flagged() -> None:
    rows = counted(
        {
            "one": [EVEN + seed * TURNED for seed in range(6)],
            "other": [VAE * 50 + seed * TURNED for seed in range(6)],
        }
    )
    rows = rows.assign(judge_accuracy=0.99)
    assert compare_imbalance(rows, ComparisonSpec())["flags"].tolist() == [()]
    rows.loc[rows["arm"] == "other", "judge_accuracy"] = 0.6
    assert compare_imbalance(rows, ComparisonSpec())["flags"].tolist() == [("different judges",)]
    few = counted(
        {"one": [EVEN / 10] * 6, "other": [VAE * 50 + seed * TURNED for seed in range(6)]}
    )
    assert compare_imbalance(few, ComparisonSpec())["text"].tolist() == [
        "cannot be compared: different numbers of samples"
    ]


def test_many_pairs_at_once_are_scipys_one_by_one() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.poisson(3.0, (2, 200, 10)).astype(float)
    a[:, 0] = b[:, 0] = 0
    for pair, (chi2, df, p) in enumerate(zip(*batched_homogeneity_test(a, b), strict=True)):
        seen = a[pair] + b[pair] > 0
        expected = chi2_contingency(np.stack([a[pair][seen], b[pair][seen]]), correction=False)
        assert (chi2, df, p) == pytest.approx(
            (expected.statistic, expected.dof, expected.pvalue), rel=1e-9
        )
    for counts in a:
        assert uniformity_test(counts) == pytest.approx(tuple(chisquare(counts)), rel=1e-9)
