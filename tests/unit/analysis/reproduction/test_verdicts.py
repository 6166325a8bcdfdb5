"""Verdicts on printed values: each kind once, with a known answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from analysis.reproduction.matching import select_candidates
from analysis.reproduction.references import References, load
from analysis.reproduction.verdicts import compute_verdicts
from tests.unit.analysis.conftest import FrameMaker, estimate_all, frame, made, on_subset, row

# Ten values with mean 0 and SD 1, spread as normal ones are.
NORMAL = stats.norm.ppf((np.arange(10) + 0.5) / 10)
NORMAL /= NORMAL.std(ddof=1)


def find_verdicts(rows: pd.DataFrame, references: References | None = None) -> pd.DataFrame:
    """The verdicts on all shipped references."""
    published = references or load()
    return compute_verdicts(select_candidates(estimate_all(rows), rows, published), published)


def picked(
    found: pd.DataFrame, table: str, reference: str, metric: str, **more: str
) -> dict[str, Any]:
    """The only row of a printed value."""
    rows = found[
        (found["table"] == table) & (found["reference"] == reference) & (found["metric"] == metric)
    ]
    for column, value in more.items():
        rows = rows[rows[column] == value]
    (row,) = rows.to_dict("records")
    return {str(name): value for name, value in row.items()}


def on_mean(nelbo: float, sd: float = 0.3, n: int = 10) -> list[dict[str, Any]]:
    """Runs of the VAE on the report's images with this mean and SD of the NELBO."""
    rows = []
    for seed, off in enumerate(NORMAL[:n] * sd):
        cell, kl = made("vae", seed), 19.3 + off / 2
        bound = {"subset_nelbo": nelbo + off, "subset_kl": kl, "subset_rec": nelbo + off - kl}
        rows.append(row(cell, **(on_subset(cell) | bound)))
    return rows


def of_source(found: pd.DataFrame, metric: str = "subset_nelbo") -> dict[str, Any]:
    """The row of the source report's VAE."""
    return picked(found, "table-1", "source report", metric)


def test_equivalent_within_the_margin_is_reproduced(results: FrameMaker) -> None:
    found = of_source(find_verdicts(results(*on_mean(101.36))))
    assert found["verdict"] == "reproduced"
    assert found["text"].startswith("reproduced within 0.5 nats (equivalence: p = ")
    assert (
        "difference 0.05 nats [−0.21, 0.31] (Welch from summary numbers, n = 10 and 10, p = 1, "
        in found["text"]
    )


def test_as_a_test_from_the_same_numbers(results: FrameMaker) -> None:
    """101.31 ± 0.08 (SE, n = 10) has an SD of 0.253; NELBO, KL, reconstruction of two references
    are six tests.
    """
    found = find_verdicts(results(*on_mean(102.0)))
    nelbo = of_source(found)
    seen = stats.ttest_ind_from_stats(102.0, 0.3, 10, 101.31, 0.08 * 10**0.5, 10, equal_var=False)
    assert nelbo["p"] == pytest.approx(seen.pvalue)
    tested = found[(found["table"] == "table-1") & (found["evaluation"] == "report_subset")].dropna(
        subset=["p"]
    )
    assert tested["comparisons"].tolist() == [6] * 6
    assert tested["p_adjusted"].tolist() == pytest.approx(list(stats_holm(tested["p"])))
    assert nelbo["verdict"] == "differs"
    assert nelbo["text"].startswith(
        "differs by 0.69 nats [0.43, 0.95] (Welch from summary numbers, n = 10 and 10, p = "
    )
    assert nelbo["text"].endswith(", Holm, 6 comparisons)")


def stats_holm(p: pd.Series) -> np.ndarray:
    """Holm (1979) by its definition: the i-th smallest times (m − i + 1), never below the one
    before.
    """
    order = np.argsort(p.to_numpy())
    stepped = np.maximum.accumulate(p.to_numpy()[order] * np.arange(len(p), 0, -1)).clip(max=1)
    adjusted = np.empty(len(p))
    adjusted[order] = stepped
    return adjusted


def test_different_and_equivalent_says_both(results: FrameMaker) -> None:
    wide = load().model_copy(update={"margins": {"nelbo": 1}})
    found = [
        of_source(find_verdicts(results(*on_mean(101.31 + 0.60, sd=0.01)), margins))
        for margins in (load(), wide)
    ]
    assert [one["verdict"] for one in found] == ["differs", "reproduced"]
    message = found[1]["text"]
    assert message.startswith("reproduced within 1 nats (equivalence: p = ")
    assert "; yet differs by 0.60 nats" in message


def test_few_noisy_runs_reproduce_nothing(results: FrameMaker) -> None:
    """The means are equal, but the spread could hide a difference of the margin."""
    found = of_source(find_verdicts(results(*on_mean(101.31, sd=1.2))))
    assert (found["verdict"], found["p"]) == ("no difference shown", pytest.approx(1))
    assert found["p_equivalence"] > 0.05
    se, df = np.sqrt(1.2**2 / 10 + 0.08**2), 9 * (1.44 + 0.064) ** 2 / (1.44**2 + 0.064**2)
    bound, centre = stats.t.isf(0.05 / 6 / 2, df), found["detectable"] / se
    assert stats.nct.sf(bound, df, centre) == pytest.approx(0.8, abs=1e-6)
    assert (
        f"smallest detectable: {found['detectable']:.2f} nats; not reproduced within 0.5 nats"
        in found["text"]
    )


def test_without_a_margin_nothing_is_called_reproduced(results: FrameMaker) -> None:
    none = load().model_copy(update={"margins": {}})
    found = find_verdicts(results(*on_mean(101.31)), none)
    assert "reproduced" not in set(found["verdict"])
    assert of_source(found)["text"].endswith("no margin is stated")


def test_below_five_seeds_there_is_no_verdict(results: FrameMaker) -> None:
    four, five = (of_source(find_verdicts(results(*on_mean(101.31, n=n)))) for n in (4, 5))
    assert four["text"] == "too few seeds: 4 of ours, a verdict takes 5"
    assert np.isnan(four["p"])
    assert five["verdict"] != "too few seeds"


@pytest.mark.parametrize(
    ("n", "verdict"), [(2, "too few runs of theirs"), (4, "too few runs of theirs"), (5, "differs")]
)
def test_below_five_runs_of_theirs_there_is_no_verdict(
    n: int, verdict: str, results: FrameMaker
) -> None:
    """With two runs of theirs, Welch's test rejects equal means in 10 % of cases."""
    shipped = load()
    few = [
        r.model_copy(update={"n": n})
        if (r.name, r.table, r.model) == ("source report", "table-1", "vae")
        else r
        for r in shipped.references
    ]
    found = of_source(
        find_verdicts(results(*on_mean(104.0)), shipped.model_copy(update={"references": few}))
    )
    assert found["verdict"] == verdict
    assert np.isnan(found["p"]) == (n < 5)
    assert (found["text"] == f"too few runs of theirs: {n} of theirs, a verdict takes 5") == (n < 5)


@pytest.mark.parametrize(("mean", "where"), [(0.7597, "inside"), (0.70, "outside")])
def test_a_single_run_is_put_into_our_prediction_interval(
    mean: float, where: str, results: FrameMaker
) -> None:
    cells = [made("ssvae", seed, supervision="supervised") for seed in range(10)]
    rows = [row(cell, accuracy=mean + 0.01 * off) for cell, off in zip(cells, NORMAL, strict=True)]
    found = picked(
        find_verdicts(results(*rows)),
        "table-3",
        "source report",
        "accuracy",
        supervision="supervised",
    )
    half = stats.t.ppf(0.975, 9) * (1 + 1 / 10) ** 0.5
    assert (found["prediction_low"], found["prediction_high"]) == pytest.approx(
        (100 * mean - half, 100 * mean + half)
    )
    assert found["verdict"] == "single run"
    assert found["text"].startswith(
        f"single run: 75.97 lies {where} our 95 % prediction interval of one run ["
    )
    assert np.isnan(found["p"])


def cannot(found: pd.DataFrame, table: str, reference: str, metric: str, **more: str) -> str:
    """Why a printed figure is not compared; it has no test then."""
    row = picked(found, table, reference, metric, **more)
    assert row["verdict"] == "cannot be compared"
    assert all(np.isnan(row[name]) for name in ("p", "low", "p_equivalence", "prediction_low"))
    return str(row["text"])


def test_what_the_printed_row_lacks_is_reported(results: FrameMaker) -> None:
    found = find_verdicts(results(*on_mean(101.31)))
    staff = cannot(found, "table-1", "staff runs", "subset_nelbo")
    assert staff.endswith("the printed row does not add up: 19.29 + 82.57 = 101.86, not 101.5")
    assert "17.18 + 81.25 = 98.43, not 99.06" in cannot(
        found, "table-2", "source report", "subset_kl"
    )
    assert cannot(found, "table-1", "public runs", "kl").endswith(": no ± is printed")
    assert cannot(found, "iwae-bounds", "public runs", "subset_iwae_10", model="gmvae").endswith(
        "n is not stated"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"iterations": 600}, "shortened: 600 of 20,000 steps"),
        ({"iterations": 40_000}, "longer: 40,000 steps"),
        ({"beta": 2.0}, "no arm of ours was trained as the protocol says"),
    ],
)
def test_another_training_cannot_be_compared(
    values: dict[str, Any], message: str, results: FrameMaker
) -> None:
    cells = [made("vae", seed, **values) for seed in range(6)]
    found = find_verdicts(results(*[row(cell, **on_subset(cell)) for cell in cells]))
    assert message in cannot(found, "table-1", "source report", "subset_nelbo")


def test_another_evaluation_set_cannot_be_compared(tmp_path: Path) -> None:
    place = ("table-1", "source report", "subset_nelbo")
    cells = [made("vae", seed) for seed in range(6)]
    unscored = find_verdicts(frame([row(cell) for cell in cells], tmp_path / "unscored"))
    assert cannot(unscored, *place) == "cannot be compared: ours are not scored on report_subset"
    other = find_verdicts(
        frame([row(cell, **on_subset(cell, "0" * 64)) for cell in cells], tmp_path / "other")
    )
    assert cannot(other, *place) == "cannot be compared: ours are scored on other images"
    assert picked(other, "table-1", "public runs", "nelbo")["verdict"] != "cannot be compared"


@pytest.mark.parametrize(
    ("draw", "single", "several"),
    [
        ("seed", "single run", "cannot be compared"),
        ("draw-3", "cannot be compared", "cannot be compared"),
        ("file-ff493f5610db", "single run", "tested"),
    ],
)
def test_other_labelled_images_are_another_question(
    draw: str, single: str, several: str, results: FrameMaker
) -> None:
    """Runs that share their labels have another mean than runs that draw their own."""
    cells = [
        made("ssvae", seed, supervision="semi-supervised", label_draw=draw) for seed in range(6)
    ]
    found = find_verdicts(results(*map(row, cells)))
    source, public = (
        picked(found, "table-3", name, "accuracy", supervision="semi-supervised")
        for name in ("source report", "public runs")
    )
    assert source["verdict"] == single
    assert (public["verdict"] == "cannot be compared") == (several == "cannot be compared")


def test_failed_cells_are_reported_beside_the_verdict(results: FrameMaker) -> None:
    rows = [*on_mean(101.31), row(made("vae", 11), "failed"), row(made("vae", 12), "diverged")]
    assert of_source(find_verdicts(results(*rows)))["text"].endswith(
        "; 10 ok, 1 failed, 1 diverged"
    )


def test_a_users_paper_is_judged_as_ours_are(tmp_path: Path) -> None:
    own = {
        "name": "my paper",
        "source": "table 7",
        "origin": "published",
        "table": "table-1",
        "evaluation": "report_subset",
        "model": "vae",
        "n": 10,
        "figures": {"nelbo": {"mean": "104.0", "sd": "0.3"}},
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"references": [own]}), encoding="utf-8")
    found = find_verdicts(frame(on_mean(101.31), tmp_path / "results"), load(path))
    mine = picked(found, "table-1", "my paper", "subset_nelbo")
    assert mine["text"].startswith("differs by −2.69 nats [−2.97, −2.41]")
    assert mine["comparisons"] == 7


def test_nothing_finished_is_reported(results: FrameMaker) -> None:
    found = find_verdicts(results(*[row(made("vae", seed), "failed") for seed in range(6)]))
    assert (
        cannot(found, "table-1", "public runs", "nelbo")
        == "cannot be compared: no cell of ours finished; 0 ok, 6 failed"
    )


@pytest.mark.parametrize(
    ("spread_of", "reason"),
    [("evaluations", "over evaluations of one model"), ("unknown", "is not stated")],
)
def test_a_spread_that_is_not_of_runs_is_not_tested_against(
    spread_of: str, reason: str, results: FrameMaker
) -> None:
    shipped = load()
    changed = [
        reference.model_copy(
            update={"facts": reference.facts.model_copy(update={"spread_of": spread_of})}
        )
        for reference in shipped.references
    ]
    found = find_verdicts(
        results(*on_mean(101.31)), shipped.model_copy(update={"references": changed})
    )
    nelbo = of_source(found)
    assert nelbo["verdict"] == "cannot be compared"
    assert reason in nelbo["text"]
    assert np.isnan(nelbo["p"])


def test_a_protocol_with_a_validation_split_or_a_recipe_matches_these_arms_alone(
    results: FrameMaker,
) -> None:
    shipped = load()
    (first, *others) = shipped.tables
    for changes in ({"validation": 10_000}, {"recipe": {"optimizer": "sgd"}}):
        arms = [arm.model_copy(update=changes) for arm in first.arms]
        changed = shipped.model_copy(
            update={"tables": [first.model_copy(update={"arms": arms}), *others]}
        )
        found = find_verdicts(results(*on_mean(101.31)), changed)
        assert "no arm of ours was trained as the protocol says" in of_source(found)["text"]
