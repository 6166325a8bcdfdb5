"""FID and KID from the command to the page, with a stand-in for the Inception net."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from analysis import compare, report
from harness import bench
from harness.data import idx_sets
from harness.evaluation import digit_classifier
from harness.metrics.features import inception_net
from harness.plugins.dataset import Data
from harness.storage.store import Store

GRID = """
name: mine
seeds: 5
samples: 200
metrics: [fid]
compare: {metrics: [fid], margin: {fid: 0.001}}
sweeps:
  - {model: vae, beta: [1, 4], iterations: 3}
"""
SEARCH = """
name: mine
seeds: 1
metrics: [kid]
search: {trials: 2, studies: 1, space: {learning_rate: {log: [1e-4, 1e-2]}}}
sweeps:
  - {model: vae, iterations: 3, validation: 100}
"""
Run = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path, mnist: Data, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a grid, and few images of MNIST."""
    few = Data(
        "mnist",
        *(mnist.train_x[:2000], mnist.train_y[:2000]),
        *(mnist.test_x[:80], mnist.test_y[:80]),
        checksum="few",
    )
    monkeypatch.setattr(idx_sets, "load", lambda *_: few)
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(digit_classifier, "MIN_STEPS", 50)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(GRID)
    return tmp_path


def run(*flags: str, grid: str = "mine.yaml") -> int:
    return bench.main([grid, "--launcher", "in-process", *flags])


def stand_in(images: Tensor) -> tuple[Tensor, ...]:
    """Features of the Inception net's form: averages over 16 squares."""
    return (torch.nn.functional.adaptive_avg_pool2d(images[:, 0].float() / 255, 4).flatten(1),)


@pytest.mark.usefixtures("unpainted")
def test_fid_and_kid_are_in_the_rows_the_table_a_verdict_and_the_page(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception_net, "refuse_missing_package", lambda: None)
    monkeypatch.setattr(inception_net, "find_weights", lambda: None)
    monkeypatch.setattr(inception_net, "load_extractor", lambda _: stand_in)
    assert run() == 0
    results = folder / "results" / "mine"
    rows = Store(results).rows()
    assert len(rows) == 10
    for row in rows.values():
        assert row["fid"] > 0
        assert row["kid"] is not None
        assert row["fid_samples"] == 200
        assert row["error"] is None
        assert json.loads(row["own_columns"])["fid"]["better"] == "lower"
    assert pd.read_parquet(results / "results.parquet")["fid"].dtype == float
    capsys.readouterr()
    sides = ["--a", "beta=4", "--b", "beta=1", "--metric", "fid"]
    assert compare.main([str(results), *sides]) == 0
    assert capsys.readouterr().out.startswith("fid: vae β=4 against vae β=1: ")
    assert report.main([str(results)]) == 0
    page = (results / "report" / "report.html").read_text()
    assert "in Inception features; biased upwards, the more the fewer images" in page


@pytest.mark.parametrize("text", [GRID, SEARCH], ids=["grid", "search"])
@pytest.mark.parametrize("has_package", [False, True], ids=["no package", "no weights"])
def test_what_fid_lacks_is_refused_before_anything_is_trained(
    text: str,
    has_package: bool,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("harness.training.trainer.PackTrainer.train_step", lambda _: 1 / 0)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(folder / "hub"))
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *_: "there" if has_package else None
    )
    (folder / "mine.yaml").write_text(text)
    for flags in ((), ("--dry-run",)):
        assert run(*flags) == 2
        error = capsys.readouterr().err
        expected = "cannot be downloaded (no route to host)" if has_package else "[fidelity]"
        assert expected in error
        assert error.count("\n") == 1
        assert not (folder / "results").exists()
