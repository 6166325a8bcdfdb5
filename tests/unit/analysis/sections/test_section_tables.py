"""The tables of the sections on β, on balance, on agreement and on gains."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.comparison import grid_family
from analysis.comparison.comparisons import compare_arms
from analysis.frames.arm_names import row_arm_names
from analysis.frames.arm_table import summarize_arms
from analysis.sections import beta, class_balance, image_agreement, label_budget
from analysis.sections.class_balance import run_balance_tests
from harness.experiment.grid import ComparisonSpec
from harness.storage.store import Store
from tests.unit.analysis.conftest import FrameMaker, made, noisy, row

SEEDS = range(6)
ARMS = ("supervised", "semi-supervised")


def with_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """A results table with the names of its arms."""
    return rows.assign(arm=row_arm_names(rows))


def compare_betas(rows: pd.DataFrame, declared: ComparisonSpec) -> pd.DataFrame:
    """Each β of these rows against β = 1."""
    return beta.compare_betas(rows, summarize_arms(rows), declared)


def compute_gains(
    rows: pd.DataFrame, declared: ComparisonSpec
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The gains in these rows, and the gains against each other."""
    return label_budget.compute_gains(rows, summarize_arms(rows), declared)


def test_beta_gives_a_table_a_metric_and_a_sentence_each(results: FrameMaker) -> None:
    cells = [made("vae", seed, beta=beta) for seed in SEEDS for beta in (1.0, 4.0, 16.0)]
    rows = with_arms(results(*[row(cell, **noisy(cell)) for cell in cells]))
    metrics = beta.select_metrics(["nelbo", "accuracy"])
    assert metrics == ["nelbo", "kl", "rec"]
    found = compare_betas(rows, ComparisonSpec(metrics=metrics))
    nelbo, kl, _ = beta.build_tables(found)
    assert (nelbo.name, kl.name) == ("beta-nelbo", "beta-kl")
    assert nelbo.text["β"].tolist() == ["4", "16"]
    assert nelbo.text["Seeds"].tolist() == ["paired, n = 6"] * 2
    assert nelbo.text["Verdict"].tolist() == [
        "worse (a seed far from the others: seed 0 of vae β=4)",
        "worse",
    ]
    assert kl.text["Verdict"].tolist() == ["lower", "lower"]
    assert nelbo.caption.startswith("Lower is better; n is the number of seeds")
    assert kl.caption.startswith(
        "Neither lower nor higher is better: KL and reconstruction are traded for each other; n "
        "is the number"
    )
    assert "p Dunnett" not in nelbo.text
    sentences = list(beta.build_sentences(found))
    assert [text.split(", β")[0] for text in sentences] == [
        *("vae, mnist: NELBO on the test images", "vae, mnist: KL on the test images"),
        "vae, mnist: Reconstruction on the test images",
    ]
    assert "β = 1, 4, 16: falls with β: −2." in sentences[1]


def test_without_another_beta_there_is_nothing_to_say(results: FrameMaker) -> None:
    found = compare_betas(with_arms(results(row(made("vae")))), ComparisonSpec(metrics=["nelbo"]))
    assert beta.build_tables(found) == []
    assert list(beta.build_sentences(found)) == []


def test_one_significant_and_one_not_is_no_difference(
    results: FrameMaker,
) -> None:
    skewed: dict[str, Any] = {"digit_counts": [1100, 900, *[1000] * 8]}
    rows = with_arms(
        results(
            *[row(made("vae", seed)) for seed in range(2)],
            row(made("gmvae", 0), **skewed),
            row(made("gmvae", 1)),
        )
    )
    uniform, between = run_balance_tests(rows)
    direct, each = class_balance.build_tables(uniform, between)
    assert direct.text.to_dict("records") == [
        {
            "A": "gmvae",
            "B": "vae",
            "Seeds": "2",
            "χ², least to largest": "0.0 to 10.0",
            "Least p": "0.7",
            "Verdict": "no difference shown in any of n = 2 seeds",
        }
    ]
    assert dict(zip(each.text["Arm"], each.text["Verdict"], strict=True)) == {
        "gmvae": "not uniform in 1 of n = 2 seeds",
        "vae": "no departure shown in any of n = 2 seeds",
    }
    files = class_balance.build_seed_tables(uniform, between)
    assert [(table.name, len(table.text)) for table in files] == [
        ("balance-uniform-seeds", 4),
        ("balance-between-seeds", 2),
    ]


def test_more_balanced_is_asked_of_the_seeds_in_words(results: FrameMaker) -> None:
    even: list[dict[str, Any]] = [
        {"digit_counts": [1000 + seed, 1000 - seed, *[1000] * 8]} for seed in SEEDS
    ]
    odd: list[dict[str, Any]] = [
        {"digit_counts": [3000 + seed, 1000 - seed, *[750] * 8]} for seed in SEEDS
    ]
    runs = [row(made("vae", seed), **even[seed]) for seed in SEEDS]
    rows = with_arms(results(*runs, *[row(made("gmvae", seed), **odd[seed]) for seed in SEEDS]))
    (sentence,) = class_balance.build_sentences(
        class_balance.compare_imbalance(rows, summarize_arms(rows), ComparisonSpec())
    )
    assert sentence.startswith("gmvae against vae: worse by ")
    assert "points" in sentence
    assert "n = 6" in sentence


def test_a_balance_that_differs_says_in_how_many_seeds(results: FrameMaker) -> None:
    skewed: dict[str, Any] = {"digit_counts": [2000, 0, *[1000] * 8]}
    rows = with_arms(
        results(
            row(made("vae")),
            row(made("vae", 1)),
            row(made("gmvae"), **skewed),
            row(made("gmvae", 1)),
        )
    )
    direct, each = class_balance.build_tables(*run_balance_tests(rows))
    assert direct.text.loc[0, "Verdict"] == "balance differs in 1 of n = 2 seeds"
    assert each.text.loc[0, "Verdict"] == "not uniform in 1 of n = 2 seeds"
    assert class_balance.build_tables(*run_balance_tests(rows.iloc[:0])) == []


def test_agreement_is_for_pairs_that_differ_in_supervision(tmp_path: Path) -> None:
    store = Store(tmp_path)
    targets = np.arange(100) % 10
    store.write_classes("targets/mnist.npy", targets)
    for labels in (100, 200):
        for seed in range(2):
            for kind, wrong in zip(ARMS, (30, 10), strict=True):
                cell = made("ssvae", seed, supervision=kind, labels=labels)
                store.write_row(row(cell))
                store.write_classes(
                    f"predictions/{cell.id}.npy", np.where(np.arange(100) < wrong, 11, targets)
                )
    rows = with_arms(store.frame())
    found = compare_arms(rows, ComparisonSpec(metrics=["accuracy"]))
    (table,) = image_agreement.build_tables(store, rows, summarize_arms(rows), found)
    assert len(found) == 6
    assert (
        table.text[["Seed", "Images", "Only A right", "Only B right"]].to_numpy().tolist()
        == [
            ["0", "100", "20", "0"],
            ["1", "100", "20", "0"],
        ]
        * 2
    )
    assert table.text.loc[0, "A (%) [Wilson]"] == "90.00 [82.56, 94.48]"
    assert table.text.loc[0, "p"] == "2e-6"
    for cell in rows["cell"]:
        store.remove(f"predictions/{cell}.npy")
    assert image_agreement.build_tables(store, rows, summarize_arms(rows), found) == []


def test_gains_are_told_by_budget_and_two_of_them_by_their_size(results: FrameMaker) -> None:
    found = []
    for labels, gain in ((50, 0.2), (1000, 0.1)):
        for seed, off in enumerate(np.random.default_rng(labels).normal(scale=0.005, size=6)):
            for kind, of in zip(ARMS, (0.7, 0.7 + gain + off), strict=True):
                found.append(row(made("ssvae", seed, supervision=kind, labels=labels), accuracy=of))
    each, between = compute_gains(with_arms(results(*found)), ComparisonSpec())
    first, second = label_budget.build_tables(each, between)
    assert (first.name, second.name) == ("gains", "gains-between")
    assert first.text["Labels"].tolist() == ["50", "1,000"]
    assert first.text["Supervised (%)"].tolist() == ["70.00"] * 2
    assert first.text["Verdict"].tolist() == ["better"] * 2
    assert "p adjusted by Holm over 2 comparisons" in first.caption
    assert second.text["Labels"].tolist() == ["1,000 against 50"]
    assert second.text["Verdict"].tolist() == ["smaller"]
    assert second.text["Difference (points) [95 % CI]"].str.startswith("−").all()
    sentences = list(label_budget.build_sentences(each))
    assert sentences[1].startswith(
        "ssvae, mnist, 1,000 labels: semi-supervised against supervised: better by "
    )
    assert sentences[2].startswith(
        "ssvae, mnist: gain in accuracy, 50, 1,000 labels: falls with the label budget: −"
    )


def test_a_pair_of_two_families_names_the_p_of_both(results: FrameMaker) -> None:
    """β = 4 against 1 is in a family of three here and in one of six in the grid."""
    cells = [
        made(name, seed, beta=beta)
        for seed in SEEDS
        for name, beta in (("gmvae", 1.0), ("gmvae", 4.0))
    ]
    cells += [made("vae", seed, beta=beta) for seed in SEEDS for beta in (1.0, 4.0)]
    rows = with_arms(results(*[row(cell, **noisy(cell)) for cell in cells]))
    how = ComparisonSpec(metrics=["nelbo"])
    grid = compare_arms(rows, how)
    turned = grid.rename(columns={"a": "b", "b": "a"})
    found = grid_family.add_grid_p(compare_betas(rows, how), grid)
    assert found["comparisons_grid"].tolist() == [6, 6]
    assert (found["p_grid"] > found["p_adjusted"]).all()
    pd.testing.assert_frame_equal(grid_family.add_grid_p(compare_betas(rows, how), turned), found)
    (table,) = beta.build_tables(found)
    assert table.text["p in the grid's family"].str.endswith(" (Holm, 6)").all()
    assert table.caption.endswith("p adjusted by Holm over 1 comparison, those of one model's β.")
    assert (
        "p in the grid's family"
        not in beta.build_tables(grid_family.add_grid_p(compare_betas(rows, how), grid.head(0)))[
            0
        ].text
    )


def test_a_gain_names_the_p_of_the_grids_family(results: FrameMaker) -> None:
    found = []
    for labels in (50, 1000):
        for seed, off in enumerate(np.random.default_rng(labels).normal(scale=0.005, size=6)):
            for kind, of in zip(ARMS, (0.7, 0.9 + off), strict=True):
                found.append(row(made("ssvae", seed, supervision=kind, labels=labels), accuracy=of))
    rows = with_arms(results(*found))
    each = grid_family.add_grid_p(
        compute_gains(rows, ComparisonSpec())[0],
        compare_arms(rows, ComparisonSpec(metrics=["accuracy"])),
    )
    sentences = list(label_budget.build_sentences(each))
    assert "(Holm, 2 comparisons)" in sentences[0]
    assert sentences[0].endswith(" (Holm, 6)")
    assert "; in the grid's family: p = " in sentences[0]
    assert "p in the grid's family" in label_budget.build_tables(each, each.head(0))[0].text


def test_without_label_budgets_there_is_no_gain_to_tell(results: FrameMaker) -> None:
    each, between = compute_gains(with_arms(results(row(made("vae")))), ComparisonSpec())
    assert label_budget.build_tables(each, between) == []
    assert list(label_budget.build_sentences(each)) == []
