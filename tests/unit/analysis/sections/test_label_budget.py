"""Gains from unlabelled images by label budget, their differences and their trend."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.comparison.comparisons import COLUMNS
from analysis.frames.arm_names import row_arm_names
from analysis.frames.arm_table import summarize_arms
from analysis.sections import label_budget
from analysis.sections.label_budget import BUDGET_PAIR_COLUMNS, GAIN_COLUMNS, compute_seed_gains
from harness.experiment.grid import ComparisonSpec
from tests.unit.analysis.conftest import FrameMaker, made, row

KINDS = ("supervised", "semi-supervised")
GAINS = {50: 0.20, 100: 0.10, 1000: 0.0}
NOISE = np.random.default_rng(0).normal(scale=0.005, size=(3, 2, 6))


def compute_gains(
    rows: pd.DataFrame, declared: ComparisonSpec
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The gains in these rows, and the gains against each other."""
    return label_budget.compute_gains(rows, summarize_arms(rows), declared)


@pytest.fixture
def rows(results: FrameMaker) -> pd.DataFrame:
    """Both arms at three label budgets, six seeds, shortened; the gain halves from 50 to 100 and
    ends at 1,000.
    """
    found = []
    for (labels, gain), noise in zip(GAINS.items(), NOISE, strict=True):
        for kind, of, per_seed in zip(KINDS, (0.7, 0.7 + gain), noise, strict=True):
            for seed, off in enumerate(per_seed):
                cell = made("ssvae", seed, supervision=kind, labels=labels, iterations=6000)
                found.append(row(cell, accuracy=of + off))
    table = results(*found)
    return table.assign(arm=row_arm_names(table))


def test_the_gain_at_each_budget_is_that_of_the_pairs(rows: pd.DataFrame) -> None:
    each, _ = compute_gains(rows, ComparisonSpec())
    assert list(each) == [*COLUMNS, *GAIN_COLUMNS]
    assert each["labels"].tolist() == [50, 100, 1000]
    for place, found in enumerate(each.to_dict("records")):
        apart = NOISE[place, 1] - NOISE[place, 0] + list(GAINS.values())[place]
        test = stats.ttest_1samp(apart, 0)
        assert found["difference"] == pytest.approx(apart.mean())
        assert (found["low"], found["high"]) == pytest.approx(tuple(test.confidence_interval()))
        assert found["p"] == pytest.approx(test.pvalue)
    assert each["verdict"].tolist() == ["better", "better", "no difference shown"]
    assert (each["design"] == "paired").all()
    assert each["flags"].tolist() == [("shortened",)] * 3


def test_budgets_and_pairs_of_budgets_are_two_families(rows: pd.DataFrame) -> None:
    each, between = compute_gains(rows, ComparisonSpec())
    for table in (each, between):
        assert (table["comparisons"] == 3).all()
        assert table["p_adjusted"].min() == pytest.approx(3 * table["p"].min())


def test_two_gains_are_compared_seed_by_seed(rows: pd.DataFrame) -> None:
    _, between = compute_gains(rows, ComparisonSpec())
    assert list(between) == [*COLUMNS, *BUDGET_PAIR_COLUMNS]
    assert between[["labels_a", "labels_b"]].to_numpy().tolist() == [
        [100, 50],
        [1000, 50],
        [1000, 100],
    ]
    gain = NOISE[:, 1] - NOISE[:, 0] + np.array([*GAINS.values()])[:, None]
    test = stats.ttest_rel(gain[1], gain[0])
    found = between.iloc[0]
    assert (found["difference"], found["p"]) == pytest.approx(
        ((gain[1] - gain[0]).mean(), test.pvalue)
    )
    assert (found["mean_a"], found["mean_b"]) == pytest.approx((gain[1].mean(), gain[0].mean()))
    assert between["verdict"].tolist() == ["worse"] * 3


def test_the_gain_falls_with_the_label_budget(rows: pd.DataFrame) -> None:
    found = compute_gains(rows, ComparisonSpec())[0].iloc[0]
    assert (found["trend"], found["trend_n"]) == ("falls", 6)
    assert found["trend_text"].startswith("falls with the label budget: −4.")


def test_a_seed_that_only_one_arm_has_gains_nothing(rows: pd.DataFrame) -> None:
    lost = (rows["supervision"] == "supervised") & (rows["labels"] == 50) & (rows["seed"] == 5)
    found = compute_seed_gains(rows[~lost])
    assert found[rows["supervision"] == "supervised"].isna().all()
    assert found.notna().sum() == 17
    failed = rows.assign(status=rows["status"].mask(lost, "failed"))
    assert compute_seed_gains(failed).notna().sum() == 17


def test_below_five_seeds_gains_are_described(rows: pd.DataFrame) -> None:
    each, between = compute_gains(rows[rows["seed"] < 3], ComparisonSpec())
    for table in (each, between):
        assert (table["verdict"] == "too few seeds").all()
        assert table["p"].isna().all()
    assert (each["trend"] == "too few seeds").all()


def test_one_budget_or_one_arm_alone_has_no_gains_to_compare(rows: pd.DataFrame) -> None:
    for some in (rows[rows["labels"] == 50], rows[rows["supervision"] == "supervised"]):
        each, between = compute_gains(some, ComparisonSpec())
        assert each.empty
        assert between.empty


def test_a_budget_that_only_one_arm_has_is_left_out(rows: pd.DataFrame) -> None:
    half = rows[(rows["labels"] != 1000) | (rows["supervision"] == "supervised")]
    assert compute_gains(half, ComparisonSpec())[0]["labels"].tolist() == [50, 100]
