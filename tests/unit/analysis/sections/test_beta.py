import numpy as np
import pandas as pd
import pytest

from analysis.frames.arm_table import summarize_arms
from analysis.sections import beta
from analysis.sections.beta import dunnett_test
from harness.experiment.grid import ComparisonSpec
from tests.unit.analysis.example_frames import spread, table

RNG = np.random.default_rng
NELBO = ComparisonSpec(metrics=["nelbo"])


def compare_betas(rows: pd.DataFrame, declared: ComparisonSpec) -> pd.DataFrame:
    """Each β of these rows against β = 1."""
    return beta.compare_betas(rows, summarize_arms(rows), declared)


@pytest.mark.parametrize(("arms", "n", "critical"), [(2, 5, 2.50), (3, 6, 2.54), (4, 5, 2.65)])
def test_dunnetts_test_has_the_published_critical_values(
    arms: int, n: int, critical: float
) -> None:
    """Dunnett (1964), Biometrics 20:482, table II, two-sided 5 %: 12 and 20 degrees of freedom."""
    control = spread(0, 1, n)
    found = dunnett_test([control + critical * np.sqrt(2 / n), *[control] * (arms - 1)], control)
    assert found[0] == pytest.approx(0.05, abs=6e-4)


def test_dunnetts_blood_counts_give_the_documented_p() -> None:
    """Dunnett (1955), table 1, as in scipy's documentation; he finds the second drug alone to
    differ.
    """
    control = np.array([7.40, 8.50, 7.20, 8.24, 9.84, 8.32])
    drugs = [np.array([9.76, 8.80, 7.68, 9.36]), np.array([12.80, 9.68, 12.16, 9.20, 10.55])]
    assert dunnett_test(drugs, control) == pytest.approx([0.62004941, 0.0059035], abs=1e-4)


def betas(shared: bool = True, n: int = 8, slope: float = 0.5) -> pd.DataFrame:
    """Arms of β 1, 2, 3, 4 whose NELBO rises by `slope` a step; the seed moves all alike where it
    is shared.
    """
    common = RNG(0).normal(size=n)
    values = {f"β={k}": 100 + slope * k + common + 0.3 * RNG(k).normal(size=n) for k in range(1, 5)}
    return table(
        values, seeds={} if shared else {f"β={k}": range(k * n, k * n + n) for k in range(1, 5)}
    )


def test_each_beta_is_compared_with_one() -> None:
    found = compare_betas(betas(), NELBO)
    assert found["b"].tolist() == ["β=1"] * 3
    assert found["beta"].tolist() == [2, 3, 4]
    assert (found["comparisons"] == 3).all()
    assert found["verdict"].tolist()[-1] == "worse"
    assert found["p_dunnett"].isna().all()
    assert (found["group"] == "vae, mnist").all()


def test_a_trend_is_found_and_told() -> None:
    found = compare_betas(betas(), NELBO).iloc[0]
    assert found["trend"] == "rises"
    assert found["slope_low"] < 0.5 * 3 / 2 < found["slope_high"]  # three steps in two doublings
    assert found["trend_text"].startswith("rises with β: ")
    assert "Page's trend test, n = 8, p = " in found["trend_text"]


def test_a_falling_trend_is_told_as_falling() -> None:
    assert compare_betas(betas(slope=-0.5), NELBO)["trend"].tolist() == ["falls"] * 3


def test_no_trend_where_there_is_none() -> None:
    found = compare_betas(betas(slope=0.0), NELBO).iloc[0]
    assert found["trend"] == "none shown"
    assert found["trend_text"].startswith("no trend shown: ")


def test_unshared_seeds_have_dunnetts_test_and_no_trend() -> None:
    found = compare_betas(betas(shared=False), NELBO)
    assert (found["design"] == "welch").all()
    assert found["p_dunnett"].between(0, 1).all()
    assert (found["trend"] == "too few seeds").all()


def test_three_seeds_have_no_trend() -> None:
    found = compare_betas(betas(n=3), NELBO)
    assert (found["trend"] == "too few seeds").all()
    assert found["trend_p"].isna().all()
    assert (found["verdict"] == "too few seeds").all()


def test_the_trend_of_the_bound_starts_at_one() -> None:
    rows = betas().assign(kl=lambda frame: 30 - frame["nelbo"] / 10)
    rows["beta"] = rows["beta"].map({1.0: 0.5, 2.0: 1.0, 3.0: 2.0, 4.0: 4.0})
    found = (
        compare_betas(rows, ComparisonSpec(metrics=["nelbo", "kl"]))
        .drop_duplicates("metric")
        .set_index("metric")
    )
    assert found["trend_betas"].to_dict() == {"nelbo": "1, 2, 4", "kl": "0.5, 1, 2, 4"}
    assert found["trend"].to_dict() == {"nelbo": "rises", "kl": "falls"}


def test_without_beta_one_there_is_nothing_to_compare_with() -> None:
    rows = betas()
    assert compare_betas(rows[rows["beta"] != 1], NELBO).empty
    assert compare_betas(rows[rows["beta"] == 1], NELBO).empty


def test_a_trend_leaves_beta_zero_out_and_says_so() -> None:
    """The slope is per doubling, and 0 has none; its comparison with β = 1 stays."""
    rows = betas().assign(kl=lambda frame: 30 - frame["nelbo"] / 10)
    rows["beta"] = rows["beta"].map({1.0: 0.0, 2.0: 1.0, 3.0: 2.0, 4.0: 4.0})
    found = compare_betas(rows, ComparisonSpec(metrics=["nelbo", "kl"]))
    assert sorted(found.loc[found["metric"] == "kl", "beta"]) == [0, 2, 4]
    trends = found.drop_duplicates("metric").set_index("metric")
    assert trends["trend_betas"].to_dict() == {"nelbo": "1, 2, 4", "kl": "1, 2, 4"}
    assert np.isfinite(trends["slope"]).all()
    *others, last = beta.build_sentences(found)
    assert last.startswith("vae, mnist: trends leave β = 0 out")
    assert len(others) == 2
    assert not any(
        "leave" in sentence for sentence in beta.build_sentences(compare_betas(betas(), NELBO))
    )
