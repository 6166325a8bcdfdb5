import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare import main
from analysis.comparison.comparisons import COLUMNS, compare_arms
from harness.errors import InputError
from harness.experiment.grid import ComparisonSpec
from harness.storage.store import TABLE, Store
from tests.unit.analysis.conftest import made, on_subset, row
from tests.unit.analysis.example_frames import SLEEP, spread, table

NELBO = ComparisonSpec(metrics=["nelbo"])
RNG = np.random.default_rng


def one(rows: pd.DataFrame, how: ComparisonSpec = NELBO) -> "pd.Series[Any]":
    found = compare_arms(rows, how)
    assert list(found) == COLUMNS
    assert len(found) == 1
    return found.iloc[0]


def arms(*numbers: int, seed: int = 0, apart: float = 0.0) -> dict[str, np.ndarray]:
    """Arms of n seeds with a common part; neighbours differ by `apart` nats."""
    common = RNG(seed).normal(size=max(numbers))
    drawn = enumerate(numbers)
    return {
        f"arm{i}": 100 + apart * i + common[:n] + 0.3 * RNG([seed, i]).normal(size=n)
        for i, n in drawn
    }


# --- what is compared with what -------------------------------------------------------------------


def test_every_pair_once_the_later_arm_against_the_earlier() -> None:
    found = compare_arms(table(arms(6, 6, 6)), NELBO)
    assert list(zip(found["a"], found["b"], strict=True)) == [
        ("arm1", "arm0"),
        ("arm2", "arm0"),
        ("arm2", "arm1"),
    ]
    assert (found["comparisons"] == 3).all()


def test_every_arm_against_the_baseline() -> None:
    found = compare_arms(
        table(arms(6, 6, 6)), ComparisonSpec(metrics=["nelbo"], baseline={"beta": 2})
    )
    assert list(zip(found["a"], found["b"], strict=True)) == [("arm0", "arm1"), ("arm2", "arm1")]


def test_a_baseline_that_is_no_arm_or_several_is_refused() -> None:
    rows = table(arms(5, 5))
    with pytest.raises(InputError, match="arm0, arm1 of the arms arm0, arm1; expected exactly one"):
        compare_arms(rows, ComparisonSpec(baseline={"model": "vae"}))
    with pytest.raises(InputError, match="no beta '7'"):
        compare_arms(rows, ComparisonSpec(baseline={"beta": 7}))
    with pytest.raises(InputError, match="no column of the arms 'modell'; did you mean 'model'"):
        compare_arms(rows, ComparisonSpec(baseline={"modell": "vae"}))


def test_data_sets_are_never_crossed_but_are_one_family() -> None:
    rows = table(arms(6, 6, 6, 6))
    rows["dataset"] = np.where(rows["arm"].isin(["arm0", "arm1"]), "mnist", "kmnist")
    found = compare_arms(rows, NELBO)
    assert sorted(zip(found["a"], found["b"], strict=True)) == [("arm1", "arm0"), ("arm3", "arm2")]
    assert (found["comparisons"] == 2).all()


def test_each_metric_is_a_family_and_takes_the_arms_that_have_it() -> None:
    rows = table(arms(6, 6, 6))
    rows["accuracy"] = np.where(
        rows["arm"] != "arm0", 0.9 + RNG(0).normal(size=len(rows)) / 100, np.nan
    )
    found = compare_arms(rows, ComparisonSpec(metrics=["nelbo", "accuracy"]))
    assert found["metric"].tolist() == ["nelbo"] * 3 + ["accuracy"]
    assert found["comparisons"].tolist() == [3, 3, 3, 1]


def test_arms_that_cannot_have_a_metric_are_left_out() -> None:
    rows = table(arms(6, 6, 6))
    rows.loc[rows["arm"] == "arm2", "supervision"] = "supervised"
    rows.loc[rows["arm"] == "arm2", "nelbo"] = np.nan
    assert compare_arms(rows, NELBO)["a"].tolist() == ["arm1"]
    assert compare_arms(rows, ComparisonSpec(metrics=["accuracy"])).empty


def test_nothing_to_compare_is_an_empty_table() -> None:
    found = compare_arms(table(arms(6)), NELBO)
    assert found.empty
    assert list(found) == COLUMNS


# --- paired or not --------------------------------------------------------------------------------


def test_students_sleep_data_through_every_step() -> None:
    found = one(table({"second": SLEEP[1], "first": SLEEP[0]}))
    assert (found["a"], found["design"], found["n_pairs"]) == ("first", "paired", 10)
    assert found["p"] == pytest.approx(0.002833, abs=5e-7)
    assert (
        found["text"]
        == "better by 1.58 nats [0.70, 2.46], paired t, n = 10, p = 0.0028 (1 comparison); exact "
        "p = 0.0039"
    )
    assert found["superiority"] == pytest.approx(
        1 - np.mean(SLEEP[0][:, None] > SLEEP[1]) - 0.5 * np.mean(SLEEP[0][:, None] == SLEEP[1])
    )
    assert (found["low_adjusted"], found["high_adjusted"]) == pytest.approx(
        (found["low"], found["high"])
    )


def test_seeds_that_are_not_shared_take_welch() -> None:
    found = one(table({"second": SLEEP[1], "first": SLEEP[0]}, seeds={"first": range(10, 20)}))
    assert (found["design"], found["n_pairs"], found["flags"]) == ("welch", 0, ())
    assert found["p"] == pytest.approx(0.07939, abs=5e-6)
    assert np.isnan(found["correlation"])


@pytest.mark.parametrize(
    ("a", "b", "design"),
    [
        ("weights,order", "weights,order", "paired"),
        ("weights, order", "order", "paired"),
        ("weights,order,labels", "weights,order", "paired"),
        ("weights", "labels", "welch"),
        (None, "weights", "welch"),
        ("", "weights", "welch"),
    ],
)
def test_pairs_are_read_from_what_the_seed_drives(a: str | None, b: str, design: str) -> None:
    rows = table(arms(6, 6))
    rows["seeded"] = rows["arm"].map({"arm0": a, "arm1": b})
    assert one(rows)["design"] == design


def test_unequal_seeds_are_paired_by_the_common_ones_and_reported() -> None:
    found = one(table(arms(8, 6)))
    assert (found["n_a"], found["n_b"], found["n_pairs"]) == (6, 8, 6)
    assert "unequal seeds" in found["flags"]
    assert "n = 6 common seeds of 6 and 8" in found["text"]
    values = arms(8, 6)
    assert found["mean_b"] == pytest.approx(values["arm0"][:6].mean())
    assert found["difference"] == pytest.approx(found["mean_a"] - found["mean_b"])


def test_few_common_seeds_of_many_take_welch_and_say_so() -> None:
    found = one(table(arms(8, 8), seeds={"arm1": range(5, 13)}))
    assert (found["design"], found["n_pairs"]) == ("welch", 3)
    assert "few common seeds" in found["flags"]


# --- what few or bad seeds allow ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "expected"), [(1, "single run"), (2, "too few seeds"), (4, "too few seeds")]
)
@pytest.mark.parametrize("shared", [True, False])
def test_below_five_seeds_nothing_is_tested(n: int, expected: str, shared: bool) -> None:
    found = one(table(arms(n, n, apart=50.0), seeds={} if shared else {"arm1": range(50, 50 + n)}))
    assert found["verdict"] == expected
    assert np.isnan(found[["p", "p_adjusted", "p_exact", "low_adjusted"]].astype(float)).all()
    assert found["comparisons"] == 0
    assert ("single run" in found["flags"]) == (n == 1)


def test_five_seeds_are_judged() -> None:
    assert one(table(arms(5, 5, apart=50.0)))["verdict"] == "worse"


def test_too_few_seeds_are_in_no_family() -> None:
    found = compare_arms(table(arms(6, 6, 3)), NELBO).set_index("a")
    assert found.loc["arm1", "comparisons"] == 1
    assert found.loc[["arm2"], "verdict"].tolist() == ["too few seeds"] * 2


def test_bad_cells_are_flagged_and_counted_in_nothing() -> None:
    rows = table(arms(9, 9))
    rows.loc[0, "status"] = "failed"
    rows.loc[10, "status"] = "diverged"
    rows.loc[10, "nelbo"] = 1e9
    rows.loc[12, "nelbo"] = np.nan
    rows.loc[13, "nelbo"] = np.inf
    found = one(rows)
    lost = {
        f"1 of 9 {bad} in {arm}; the verdict is of the survivors"
        for bad, arm in (("failed", "arm0"), ("diverged", "arm1"))
    }
    assert set(found["flags"]) == {*lost, "unscored cells", "unequal seeds"}
    assert (found["n_a"], found["n_b"], found["n_pairs"]) == (6, 8, 5)


def test_an_arm_of_which_every_cell_failed_is_still_a_row() -> None:
    rows = table(arms(6, 6))
    rows.loc[rows["arm"] == "arm1", "status"] = "failed"
    found = one(rows)
    assert (found["n_a"], found["verdict"]) == (0, "too few seeds")
    assert "6 of 6 failed in arm1" in found["flags"]
    assert "more runs lost in arm1" in found["flags"]
    assert "nothing to compare" in found["text"]


def test_what_differs_beside_the_arms_is_flagged() -> None:
    rows = table(arms(6, 6))
    second = rows["arm"] == "arm1"
    rows["git_commit"] = np.where(second, "beef", "c0ffee")
    rows["device"] = np.where(second, "cuda", "cpu")
    rows["iterations"] = np.where(second, 10_000, 20_000)
    rows["adaptive"] = second
    lengths = {"shortened", "different lengths", "unequal shares of full length"}
    assert {flag.partition(":")[0] for flag in one(rows)["flags"]} == {
        "different commits",
        "different devices",
        *lengths,
        "adaptive",
    }


def test_metrics_of_two_plug_in_files_are_flagged() -> None:
    rows = table(arms(6, 6))
    second = rows["arm"] == "arm1"
    rows["plugin_sources"] = np.where(second, '{"metric ink": "b"}', '{"metric ink": "a"}')
    assert "two texts of metric ink" in one(rows)["flags"]
    rows["plugin_sources"] = np.where(second, '{"metric ink": "a", "metric x": "c"}', "{}")
    assert not any("two texts" in flag for flag in one(rows)["flags"])


def test_label_draws_that_differ_are_flagged() -> None:
    rows = table(arms(6, 6), metric="accuracy").assign(
        labels=100, supervision="supervised", label_draw="seed"
    )
    rows.loc[rows["arm"] == "arm1", "label_draw"] = "draw-0"
    found = one(rows, ComparisonSpec(metrics=["accuracy"]))
    assert found["flags"] == ("different label draws", "one draw of labels")
    assert found["design"] == "paired"


def test_different_images_are_not_compared() -> None:
    rows = table(arms(6, 6), metric="subset_nelbo").assign(subset_checksum="a")
    how = ComparisonSpec(metrics=["subset_nelbo"])
    assert one(rows, how)["verdict"] != "cannot be compared"
    assert one(rows, how)["evaluation"] == "report_subset"
    rows.loc[rows["arm"] == "arm1", "subset_checksum"] = "b"
    found = one(rows, how)
    assert found["verdict"] == "cannot be compared"
    assert np.isnan(found["difference"])
    rows = table(arms(6, 6)).assign(data_checksum=lambda frame: frame["arm"])
    assert one(rows)["text"] == "cannot be compared: different versions of the data"


def test_a_seed_twice_in_an_arm_is_refused() -> None:
    rows = table(arms(6, 6))
    with pytest.raises(InputError, match="two rows of arm arm0 with seed 0"):
        compare_arms(pd.concat([rows, rows.head(1)]), NELBO)


# --- values that do not vary ----------------------------------------------------------------------


def test_equal_arms_show_no_difference() -> None:
    values = spread(100, 1, 6)
    found = one(table({"one": values, "other": values}))
    assert (found["verdict"], found["p"]) == ("no difference shown", 1)
    assert "every seed gave both arms the same value" in found["text"]
    assert (
        one(
            table({"one": values, "other": values}),
            ComparisonSpec(metrics=["nelbo"], margin={"nelbo": 0.1}),
        )["verdict"]
        == "equivalent"
    )


def test_arms_in_which_the_seed_changes_nothing_are_single_runs() -> None:
    found = one(table({"one": [1.0] * 8, "other": [2.0] * 8}))
    assert found["verdict"] == "single run"
    assert np.isnan(found["p"])
    assert one(table({"one": [1.0] * 8, "other": [1.0] * 8}))["verdict"] == "no difference shown"


def test_a_constant_difference_is_a_difference() -> None:
    values = spread(100, 1, 6)
    assert one(table({"one": values, "other": values + 0.5}))["verdict"] == "worse"


# --- the family, equivalence, power ---------------------------------------------------------------


def test_the_family_decides_and_its_intervals_agree() -> None:
    found = compare_arms(table(arms(6, 6, 6, 6, apart=0.25)), NELBO)
    assert set(found["verdict"]) == {"worse", "no difference shown"}
    outside = (found["low_adjusted"] > 0) | (found["high_adjusted"] < 0)
    assert (outside == (found["p_adjusted"] <= 0.05)).all()
    assert (found["low_adjusted"] <= found["low"]).all()


def test_the_margin_of_the_grid_makes_arms_equivalent() -> None:
    rows = table(arms(9, 9))
    found = one(rows, ComparisonSpec(metrics=["nelbo"], margin={"nelbo": 1.0}))
    assert (found["verdict"], found["margin"]) == ("equivalent", 1)
    assert (
        one(rows, ComparisonSpec(metrics=["nelbo"], margin={"nelbo": 0.01}))["verdict"]
        == "no difference shown"
    )
    assert np.isnan(
        one(rows, ComparisonSpec(metrics=["nelbo"], margin={"kl": 1.0}))["p_equivalence"]
    )


def test_equivalence_is_corrected_over_the_family() -> None:
    found = compare_arms(
        table(arms(6, 6, 6)), ComparisonSpec(metrics=["nelbo"], margin={"nelbo": 0.6})
    )
    assert (found["p_equivalence_adjusted"] >= found["p_equivalence"]).all()
    assert found["p_equivalence_adjusted"].min() == pytest.approx(3 * found["p_equivalence"].min())


@settings(deadline=None, max_examples=6)
@given(st.permutations(range(21)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    rows = table(arms(7, 7, 7, apart=0.2))
    pd.testing.assert_frame_equal(
        compare_arms(rows.iloc[order], NELBO), compare_arms(rows, NELBO), rtol=1e-9
    )


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 1.0]))
def test_swapping_the_arms_turns_the_verdict(seed: int, apart: float) -> None:
    values = arms(7, 7, seed=seed, apart=apart)
    one_way = one(table(values))
    other = one(table(dict(reversed(values.items()))))
    turned = {"better": "worse", "worse": "better"}
    assert other["verdict"] == turned.get(one_way["verdict"], one_way["verdict"])
    assert other["p"] == pytest.approx(one_way["p"])
    assert other["superiority"] == pytest.approx(1 - one_way["superiority"])
    assert other["detectable"] == pytest.approx(one_way["detectable"])


@settings(deadline=None, max_examples=6)
@given(st.floats(-1e3, 1e3), st.sampled_from([0.01, 4.0]))
def test_shift_and_scale_change_no_verdict(shift: float, scale: float) -> None:
    values = arms(7, 7, 7, apart=0.2)
    found = compare_arms(table(values), NELBO)
    moved = compare_arms(
        table({name: scale * value + shift for name, value in values.items()}), NELBO
    )
    assert moved["verdict"].tolist() == found["verdict"].tolist()
    assert moved["p_adjusted"].to_numpy() == pytest.approx(found["p_adjusted"].to_numpy())
    assert moved["seeds_needed"].tolist() == found["seeds_needed"].tolist()
    assert moved["detectable"].to_numpy() == pytest.approx(
        scale * found["detectable"].to_numpy(), rel=1e-6
    )


def test_few_unshared_seeds_have_a_difference_and_no_interval() -> None:
    values = {"a": [1.0, 2.0, 4.0], "b": [2.0, 2.5, 7.0]}
    apart = compare_arms(table(values, seeds={"a": range(3), "b": range(3, 6)}), NELBO).iloc[0]
    assert (apart["design"], apart["verdict"]) == ("welch", "too few seeds")
    assert apart["difference"] == pytest.approx(1.5)
    assert np.isnan([apart["low"], apart["high"]]).all()
    assert "[" not in apart["text"]
    assert np.isfinite(
        compare_arms(table(values), NELBO).iloc[0][["low", "high"]].to_numpy(float)
    ).all()


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two results folders of different commits: a VAE of two β with a GMVAE, and a VAE."""
    paths = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    for seed in range(6):
        noise = 0.3 * RNG(seed).normal(size=4)
        cells = (made("vae", seed), 0), (made("vae", seed, beta=4.0), 8), (made("gmvae", seed), -2)
        for place, (cell, off) in enumerate(cells):
            written(
                paths[0], row(cell, run="one", **on_subset(cell)), 100 + seed + off + noise[place]
            )
        written(
            paths[1], row(made("vae", seed), git_commit="beef", run="one"), 100.2 + seed + noise[3]
        )
    for path in paths:
        run = {"run": "one", "started": "2025", "grid": {"seeds": list(range(6))}}
        Store(path).write("provenance/one.json", json.dumps(run).encode())
    return [str(path) for path in paths]


def written(path: Path, values: dict[str, Any], nelbo: float) -> None:
    Store(path).write_row({**values, "nelbo": nelbo, "rec": nelbo - values["kl"]})


def run_command(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    return code, *capsys.readouterr()


def test_one_verdict_is_printed(capsys: pytest.CaptureFixture[str], folders: list[str]) -> None:
    code, out, err = run_command(
        capsys, folders[0], "--a", "model=gmvae", "--b", "model=vae,beta=1", "--metric", "nelbo"
    )
    assert (code, err) == (0, "")
    assert out.startswith("NELBO: gmvae against vae: better by ")
    assert "paired t, n = 6, p = " in out
    assert "Hedges' g (SD within the arms): " in out
    assert "worst seed of a: " in out


def test_json_has_every_column(capsys: pytest.CaptureFixture[str], folders: list[str]) -> None:
    wanted = "--a", "model=vae,beta=4", "--b", "model=gmvae", "--margin", "0.5", "--json"
    code, out, _ = run_command(capsys, folders[0], *wanted)
    found = json.loads(out)
    assert code == 0
    assert list(found) == COLUMNS
    assert (found["verdict"], found["margin"], found["n_pairs"], found["flags"]) == (
        "worse",
        0.5,
        6,
        [],
    )
    assert found["difference"] == pytest.approx(10, abs=1)


def test_two_folders_are_compared_by_number_or_path(
    capsys: pytest.CaptureFixture[str], folders: list[str]
) -> None:
    for second in ("2", folders[1]):
        wanted = "--a", f"results={second},model=vae", "--b", "results=1,model=vae,beta=1", "--json"
        code, out, _ = run_command(capsys, *folders, *wanted)
        found = json.loads(out)
        assert code == 0
        assert (found["a"], found["b"]) == ("vae (results 2)", "vae (results 1)")
        assert (found["design"], found["flags"]) == ("paired", ["different commits"])


def test_folders_are_pooled_unless_a_choice_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(6):
        for name, off in (("vae", 0.0), ("gmvae", -2.0)):
            written(
                tmp_path / f"part{seed // 3}", row(made(name, seed)), 100 + off + RNG(seed).normal()
            )
    paths = [str(tmp_path / "part0"), str(tmp_path / "part1")]
    found = json.loads(
        run_command(capsys, *paths, "--a", "model=gmvae", "--b", "model=vae", "--json")[1]
    )
    assert (found["n_pairs"], found["verdict"]) == (6, "better")
    found = json.loads(
        run_command(capsys, *paths, "--a", "model=gmvae,results=1", "--b", "model=vae", "--json")[1]
    )
    assert (found["n_a"], found["n_b"], found["verdict"]) == (3, 6, "too few seeds")


def test_a_cell_with_two_results_must_be_chosen(
    capsys: pytest.CaptureFixture[str], folders: list[str]
) -> None:
    code, _, err = run_command(capsys, *folders, "--a", "model=vae,beta=1", "--b", "model=gmvae")
    assert code == 2
    assert (
        err == "error: seed 0 has different values of nelbo in folders 1 and 2; choose one: "
        "results=NUMBER\n"
    )


@pytest.mark.parametrize(
    ("a", "b", "more", "expected"),
    [
        (
            "model=gmvea",
            "model=vae",
            [],
            "no model 'gmvea'; did you mean 'gmvae'? known: gmvae, vae",
        ),
        ("modle=vae", "model=gmvae", [], "no column of the arms 'modle'; did you mean 'model'?"),
        (
            "model=vae",
            "model=gmvae",
            [],
            "'model=vae' names 2 arms: 'vae β=1', 'vae β=4'; expected exactly one",
        ),
        (
            "model=gmvae,beta=4",
            "model=vae",
            [],
            "'model=gmvae,beta=4' names no arm of 'gmvae', 'vae β=1', 'vae β=4'",
        ),
        ("gmvae", "model=vae,beta=1", [], "cannot read 'gmvae'; expected COLUMN=VALUE"),
        ("model=gmvae", "k=500", [], "are the same arm, gmvae"),
        (
            "model=gmvae",
            "model=vae,beta=1",
            ["--metric", "nelbow"],
            "no metric 'nelbow'; did you mean 'nelbo'?",
        ),
        (
            "model=gmvae",
            "model=vae,beta=1",
            ["--margin", "-1"],
            "margin -1; expected a number above 0",
        ),
        (
            "model=gmvae",
            "model=vae,beta=1",
            ["--metric", "accuracy", "--margin", "0.5"],
            "0.005 is 0.5 points",
        ),
        (
            "model=gmvae",
            "model=vae,beta=1",
            ["--metric", "accuracy"],
            "were not both scored for accuracy",
        ),
        ("model=gmvae,results=3", "model=vae,beta=1", [], "no results folder '3'"),
    ],
)
def test_bad_input_is_one_line(
    a: str,
    b: str,
    more: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    folders: list[str],
) -> None:
    code, out, err = run_command(capsys, folders[0], "--a", a, "--b", b, *more)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert expected in err


def test_no_folder_is_bad_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run_command(
        capsys, str(tmp_path / "none"), "--a", "model=gmvae", "--b", "model=vae"
    )
    assert code == 2
    assert "no results folder" in err


def test_seeds_that_a_later_run_added_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    for run, start, seeds in (
        ("one", "2026-01-01T00", range(5)),
        ("two", "2026-01-02T00", range(9)),
    ):
        store.write(
            f"provenance/{run}.json",
            json.dumps({"run": run, "started": start, "grid": {"seeds": list(seeds)}}).encode(),
        )
        for seed in seeds:
            for name in ("vae", "gmvae"):
                cell = replace(made(name, seed), iterations=20_000)
                if store.row(cell.id) is None:
                    written(
                        tmp_path,
                        row(cell, run=run, finished=start + ":30"),
                        100 + RNG(seed).normal(),
                    )
    found = json.loads(
        run_command(capsys, str(tmp_path), "--a", "model=gmvae", "--b", "model=vae", "--json")[1]
    )
    assert [flag.partition(":")[0] for flag in found["flags"]] == ["adaptive"]


# --- flags ----------------------------------------------------------------------------------------


def find_flags(rows: pd.DataFrame, how: ComparisonSpec = NELBO) -> tuple[str, ...]:
    return tuple(one(rows, how)["flags"])


COLLAPSED = [*spread(100, 1, 9), 180.0]
AHEAD = [value - 1 - 0.1 * seed for seed, value in enumerate(spread(100, 1, 9))] + [99.0]


def test_a_collapse_is_named_and_what_t_does_not_see_is_reported() -> None:
    found = one(table({"vae": COLLAPSED, "gmvae": AHEAD}))
    assert (found["verdict"], found["p_exact"]) == ("no difference shown", 2 / 2**10)
    assert found["text"].endswith("p = 0.27 (1 comparison); exact p = 0.002")
    assert found["flags"] == (
        "a seed far from the others: seed 9 of vae",
        "t and the exact test disagree",
    )
    assert (
        found["collapsed_a"],
        found["collapsed_b"],
        found["worst_b"],
        found["worst_seed_b"],
    ) == (0, 1, 180, 9)
    assert found["median_b"] == pytest.approx(np.median(COLLAPSED))
    assert found["p_lost"] == 1


def test_darwins_maize_says_that_the_exact_test_disagrees() -> None:
    apart = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    found = one(
        table({"selfed": [0.0] * 15, "crossed": apart}, "accuracy"),
        ComparisonSpec(metrics=["accuracy"]),
    )
    assert (found["verdict"], "t and the exact test disagree" in found["flags"]) == ("better", True)


def test_unpaired_arms_have_a_permutation_of_welchs_t() -> None:
    for n in (5, 8, 14):
        values = spread(100, 1, n), spread(103, 1, n, seed=1)
        found = one(table({"b": values[0], "a": values[1]}, seeds={"a": range(50, 50 + n)}))
        assert found["design"] == "welch"
        assert found["p_exact"] >= found["p_floor"] > 0
        assert f"; {'exact' if n == 5 else 'permutation'} p = " in found["text"]
        assert (found["p_floor"] == 2 / 252) == (n == 5)


def test_survivors_are_counted_and_compared_as_counts() -> None:
    rows = table(arms(10, 10, apart=9.0))
    rows.loc[(rows["arm"] == "arm0") & (rows["seed"] >= 5), "status"] = "diverged"
    found = one(rows)
    assert "5 of 10 diverged in arm0; the verdict is of the survivors" in found["flags"]
    assert "more runs lost in arm0" in found["flags"]
    assert found["p_lost"] == pytest.approx(0.0325, abs=1e-4)
    assert found["diverged_b"] == 5


def test_longer_training_and_unequal_shares_are_flagged() -> None:
    rows = table(arms(6, 6))
    second = rows["arm"] == "arm1"
    rows["model"] = np.where(second, "gmvae", "vae")
    rows["iterations"] = np.where(second, 200_000, 20_000)
    assert find_flags(rows) == ("longer", "unequal shares of full length")
    rows["full_length"] = rows["iterations"]
    assert find_flags(rows) == ()


HALF = np.arange(10) < 5


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (
            np.where(HALF, "aaa", "bbb"),
            np.where(HALF, "bbb", "aaa"),
            ("commits differ within pairs",),
        ),
        (np.where(HALF, "aaa", "bbb"), np.where(HALF, "aaa", "bbb"), ("mixed commits",)),
        (np.where(HALF, "aaa", "bbb"), ["bbb"] * 10, ("commits differ within pairs",)),
        (["aaa"] * 10, ["bbb"] * 10, ("different commits",)),
        (["aaa+"] * 10, ["aaa+"] * 10, ("changed files (commit+)",)),
        (["aaa"] * 10, ["aaa"] * 10, ()),
    ],
)
def test_commits_are_compared_pair_by_pair(a: Any, b: Any, expected: tuple[str, ...]) -> None:
    rows = table(arms(10, 10))
    rows["git_commit"] = [*b, *a]
    assert find_flags(rows) == expected
    apart = table(arms(10, 10), seeds={"arm1": range(50, 60)}).assign(git_commit=[*b, *a])
    assert find_flags(apart) == tuple(
        word.replace("commits differ within pairs", "mixed commits") for word in expected
    )


def test_devices_and_versions_that_mix_are_flagged() -> None:
    rows = table(arms(10, 10)).assign(device=np.where(np.arange(20) % 10 < 5, "cpu", "cuda"))
    assert find_flags(rows) == ("mixed devices",)
    versions = {"torch": "2.12.0", "python": "3.11.7", "numpy": "2.4", "objective": "compiled"}
    others: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"torch": "2.1.0"}, ("different versions: torch 2.1.0 and 2.12.0",)),
        ({"python": "3.13.1"}, ("different versions: python 3.11 and 3.13",)),
        ({"objective": "eager"}, ("different objectives: compiled and eager",)),
        ({"python": "3.11.9", "numpy": "1.0"}, ()),
    ]
    for other, expected in others:
        texts = np.where(np.arange(20) == 19, json.dumps(versions | other), json.dumps(versions))
        assert find_flags(table(arms(10, 10)).assign(versions=texts)) == expected


def test_two_texts_of_one_plug_in_are_flagged() -> None:
    rows = table(arms(6, 6)).assign(source="hash")
    assert find_flags(rows) == ()
    rows.loc[11, "source"] = "other"
    assert find_flags(rows) == ("two texts of one plug-in",)
    apart = rows.assign(model=rows["arm"], source=rows["arm"])  # two plug-ins, a text each
    assert find_flags(apart) == ()


def test_one_draw_of_labels_for_all_seeds_is_reported() -> None:
    rows = table(arms(6, 6), metric="accuracy").assign(labels=100, supervision="supervised")
    for draw, expected in (
        ("seed", ()),
        ("draw-0", ("one draw of labels",)),
        ("file-ab", ("one draw of labels",)),
    ):
        assert (
            find_flags(rows.assign(label_draw=draw), ComparisonSpec(metrics=["accuracy"]))
            == expected
        )


def test_shared_settings_that_differ_are_flagged() -> None:
    rows = table(arms(6, 6))
    second = rows["arm"] == "arm1"
    rows["model"] = np.where(second, "gmvae", "vae")
    rows["settings"] = np.where(second, '{"k": 500, "z": 64}', '{"z": 10}')
    assert find_flags(rows) == ("z = 10 against 64",)
    rows["model"] = "vae"  # the names of the arms tell it
    assert find_flags(rows) == ()


def test_a_part_of_the_bound_is_lower_and_so_is_its_probability() -> None:
    values = arms(9, 9, apart=9.0)
    found = one(table(values, "kl"), ComparisonSpec(metrics=["kl"]))
    assert (found["verdict"], found["superiority"]) == ("higher", 0)
    assert np.isnan(found["worst_a"])
    found = one(table(dict(reversed(values.items())), "kl"), ComparisonSpec(metrics=["kl"]))
    assert (found["verdict"], found["superiority"]) == ("lower", 1)


def test_a_constant_difference_of_five_pairs_shows_nothing() -> None:
    values = spread(100, 1, 5)
    found = one(table({"vae": values, "gmvae": values - 0.25}))
    assert (found["verdict"], found["p"]) == ("no difference shown", 2 / 2**5)
    assert (
        "difference −0.25 nats, which does not vary, sign test, n = 5, p = 0.062" in found["text"]
    )
    assert np.isnan([found["low"], found["low_adjusted"], found["detectable"]]).all()
    accuracy = 0.93 + np.arange(10) / 1000
    found = one(
        table({"b": accuracy, "a": accuracy + 1e-4}, "accuracy"),
        ComparisonSpec(metrics=["accuracy"]),
    )
    assert found["text"].startswith(
        "better by 0.01 points, which does not vary, sign test, n = 10, p = 0.002"
    )


def test_equivalence_of_what_differs_says_so() -> None:
    found = one(
        table(arms(9, 9, apart=0.9)), ComparisonSpec(metrics=["nelbo"], margin={"nelbo": 2.0})
    )
    assert found["verdict"] == "equivalent"
    assert "equivalent within 2 nats: yet differs by" in found["text"]


def test_infinitely_many_seeds_are_reported_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, off in enumerate(spread(0, 1, 6)):
        written(tmp_path, row(made("vae", seed)), 100 + off)
        written(tmp_path, row(made("gmvae", seed)), 100 - off)
    wanted = str(tmp_path), "--a", "model=gmvae", "--b", "model=vae"
    assert "(optimistic after a choice): more than 100000" in run_command(capsys, *wanted)[1]
    assert (
        json.loads(run_command(capsys, *wanted, "--json")[1])["seeds_needed"] == "more than 100000"
    )


def test_names_keep_to_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hostile name could clear the terminal or imitate a verdict."""
    for seed in range(6):
        for name in ("vae", "x\n\x1b[2Jgmvae: better"):
            written(tmp_path, row(made(name, seed)), 100 + seed + RNG(seed).normal())
    code, out, _ = run_command(
        capsys, str(tmp_path), "--a", "model=vae", "--b", "model=x\n\x1b[2Jgmvae: better"
    )
    assert code == 0
    assert out.splitlines()[0].startswith("NELBO: vae against x  [2Jgmvae: better: ")
    assert all(line.startswith("  ") for line in out.splitlines()[1:])
    assert "\x1b" not in out


def test_sums_that_do_not_add_up_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the rows that are compared are checked."""
    for seed in range(6):
        for name in ("vae", "gmvae"):
            written(tmp_path, row(made(name, seed)), 100 + seed + RNG(seed).normal())
    store = Store(tmp_path)
    broken = store.frame().assign(kl=7.0)
    for key in store.keys("rows", ".json"):
        store.remove(key)
    broken.to_parquet(store.path(TABLE))
    code, out, err = run_command(
        capsys, str(tmp_path), "--a", "model=gmvae", "--b", "model=vae", "--json"
    )
    assert (code, json.loads(out)["n_pairs"]) == (0, 6)
    assert err.count("is not kl 7.00 + rec") == 5
    assert err.endswith("beware: and 7 more such rows\n")
