"""Numbers of a model without a bound or with an exact likelihood are not compared with an ELBO."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import compare, report
from analysis.comparison.comparisons import compare_arms
from analysis.frames.load import read_results
from harness.experiment.grid import ComparisonSpec
from harness.experiment.metrics import BOUND_METRICS
from harness.storage.store import Store
from tests.unit.analysis.conftest import curve, made, on_subset, row

NOTHING = {"nelbo": 0.0, "kl": 0.0, "rec": 0.0}


def written(root: Path, seeds: int = 6, **models: dict[str, Any]) -> Store:
    """A folder of a VAE and other models, each a row a seed with these values."""
    store = Store(root)
    every: dict[str, dict[str, Any]] = {"vae": {}} | models
    for seed in range(seeds):
        off = 0.1 * np.random.default_rng(seed).normal()
        for name, values in every.items():
            cell = made(name, seed)
            usual = {"nelbo": 100 + off, "rec": 81 + off, "iwae_10": 97 + off} | on_subset(cell)
            store.write_row(row(cell, **usual | values))
            store.write_curve(cell.id, curve(cell))
    return store


@pytest.mark.parametrize("reported", [{}, {"estimator": "none"}])
def test_a_model_without_a_bound_is_not_compared_by_one(
    tmp_path: Path, reported: dict[str, str]
) -> None:
    rows = read_results(written(tmp_path, gan=NOTHING | reported)).rows
    gan = rows[rows["model"] == "gan"]
    assert (gan["estimator"] == "none").all()
    assert (
        gan[[*BOUND_METRICS, *(f"subset_{name}" for name in BOUND_METRICS)]].isna().all(axis=None)
    )
    found = compare_arms(rows, ComparisonSpec(metrics=["nelbo", "kl", "iwae_10", "subset_nelbo"]))
    assert set(found["text"]) == {"cannot be compared: vae holds an ELBO, gan no bound"}
    assert len(found) == 4
    assert set(rows.loc[rows["model"] == "vae", "estimator"]) == {"elbo"}


def test_an_exact_likelihood_is_a_metric_of_its_own(tmp_path: Path) -> None:
    exact = {"nelbo": 85.0, "kl": 0.0, "rec": 85.0}
    names = {"made": 85.0, "pixelcnn": 82.0}
    reported: dict[str, Any] = {
        name: exact | {"estimator": "exact", "nll": nll} for name, nll in names.items()
    }
    rows = read_results(written(tmp_path, **reported)).rows
    means = rows.groupby("model")["nll"].mean()
    assert means[["made", "pixelcnn"]].tolist() == [85.0, 82.0]
    assert rows.loc[rows["model"] == "vae", "nll"].isna().all()
    assert rows.loc[rows["model"] != "vae", ["nelbo", "kl", "rec", "iwae_10"]].isna().all(axis=None)
    found = compare_arms(rows, ComparisonSpec(metrics=["nelbo", "nll"]))
    texts = dict(
        zip(zip(found["metric"], found["a"], found["b"], strict=True), found["text"], strict=True)
    )
    reason = "cannot be compared: {} holds an exact likelihood, vae an ELBO"
    pairs = [(metric, name) for metric in ("nelbo", "nll") for name in ("made", "pixelcnn")]
    expected = {(metric, name, "vae"): reason.format(name) for metric, name in pairs}
    nothing = "single run (the seed changes nothing in either arm): difference −3.00 nats"
    assert texts == expected | {("nll", "pixelcnn", "made"): nothing}


def test_an_older_row_with_a_kl_of_zero_keeps_its_bound(tmp_path: Path) -> None:
    """Such a row has no estimator, and hand-made tables often contain some."""
    rows = read_results(written(tmp_path, collapsed={"nelbo": 105.0, "kl": 0.0, "rec": 105.0})).rows
    assert rows.loc[rows["model"] == "collapsed", "nelbo"].tolist() == [105.0] * 6
    (text,) = compare_arms(rows, ComparisonSpec(metrics=["nelbo"]))["text"]
    assert text.startswith("worse by 4.98 nats")


def test_other_pixels_are_not_compared(tmp_path: Path) -> None:
    rows = read_results(written(tmp_path, gmvae={"data_kind": "grey"})).rows
    assert compare_arms(rows, ComparisonSpec(metrics=["nelbo"]))["verdict"].tolist() != [
        "cannot be compared"
    ]
    rows.loc[rows["model"] == "vae", "data_kind"] = "binary"
    (text,) = compare_arms(rows, ComparisonSpec(metrics=["nelbo"]))["text"]
    assert text == "cannot be compared: different kinds of pixels (binary and grey)"


def test_bits_of_other_pixels_are_not_compared(tmp_path: Path) -> None:
    described = {"bits_per_dimension": {"unit": "bits", "better": "lower", "meaning": "bits"}}
    more: dict[str, Any] = {"bits_per_dimension": 1.0, "own_columns": json.dumps(described)}
    gmvae, vae = {"data_kind": "dequantised"}, {"data_kind": "ordinal"}
    rows = read_results(written(tmp_path, gmvae=gmvae | more, vae=vae | more)).rows
    spec = ComparisonSpec.model_validate(
        {"metrics": ["bits_per_dimension"]}, context={"metrics": ["bits_per_dimension"]}
    )
    (text,) = compare_arms(rows, spec)["text"]
    assert text == "cannot be compared: different kinds of pixels (dequantised and ordinal)"


def test_curves_of_what_is_no_bound_have_no_losses(tmp_path: Path) -> None:
    points = read_results(written(tmp_path, gan=NOTHING)).points
    assert points.loc[points["arm"] == "gan", ["nelbo", "kl", "rec"]].isna().all(axis=None)
    assert points.loc[points["arm"] == "vae", "nelbo"].notna().all()


@pytest.mark.usefixtures("unpainted")
def test_the_command_and_the_page_say_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = "gan against vae: cannot be compared: gan holds no bound, vae an ELBO"
    store = written(tmp_path / "results", gan=NOTHING)
    assert compare.main([store.address, "--a", "model=gan", "--b", "model=vae"]) == 0
    assert expected in capsys.readouterr().out
    assert compare.main([store.address, "--a", "model=gan", "--b", "model=vae", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "cannot be compared"
    assert report.main([store.address, "--out", str(tmp_path / "page")]) == 0
    expected = "vae against gan: cannot be compared: vae holds an ELBO, gan no bound"
    assert expected in capsys.readouterr().out
    page = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "cannot be compared: vae holds an ELBO, gan no bound" in page
