"""Exports hold what a reader must know, and no weights."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.folders.__main__ import main
from analysis.frames.load import read_results
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import made, row

KEPT = ["curves/%.parquet", "samples/%.png", "reconstructions/%.png", "predictions/%.npy"]
LEFT = ["weights/%.safetensors", "checkpoints/%.safetensors", "logs/%.txt"]
LEFT += ["tensorboard/%/events.1"]
SHARED = ["targets/mnist.npy", "plugins/f.json"]
LEFT_SHARED = ["judges/mnist.safetensors", "progress/r.json", "damaged/d-x.json"]
SECRET = "/home/me/secret/mine.py"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A VAE and both arms of an SSVAE, with files of every kind and a record of the run."""
    store = Store(tmp_path / "results")
    for seed in range(3):
        cells = [made("vae", seed)]
        cells += [made("ssvae", seed, supervision=s) for s in ("supervised", "semi-supervised")]
        for cell in cells:
            extra = {"data_kind": "binary", "run": "r", "data_checksum": "abc"}
            store.write_row(row(cell, **extra, estimator="elbo" if cell.has_bound else None))
        store.write_curve(cells[0].id, [{"step": 1, "nelbo": 1.0}])
        for key in (*KEPT[1:], *LEFT):
            store.write(key.replace("%", cells[0].id), b"content")
    for key in (*SHARED, *LEFT_SHARED):
        store.write(key, b"{}")
    record = {"run": "r", "command": f"bench {SECRET}", "binarisation": {"mnist": "dynamic"}}
    store.write("provenance/r.json", json.dumps(record).encode())
    store.compact()
    return store


def export(store: Store, out: Path, *flags: str) -> int:
    """Run the command."""
    return main(["export", store.name, "--to", str(out), *flags])


def test_a_folder_has_everything_but_state(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert export(store, out) == 0
    printed = capsys.readouterr().out
    assert f"beware: provenance/r.json names a path of a machine: {SECRET}" in printed
    assert "left out: 3 files of weights (21 bytes)" in printed
    ids = [made("vae", seed).id for seed in range(3)]
    expected = {key.replace("%", cell) for key in KEPT for cell in ids} | {*SHARED}
    expected |= {"provenance/r.json", "results.parquet", "results.json"}
    assert set(tree(out)) == expected
    assert Store(out).rows() == store.rows()
    assert len(read_results(Store(out)).rows) == 9
    found = json.loads((out / "results.json").read_text())
    content = (out / "results.parquet").read_bytes()
    assert found["parquet"]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("kind", ["folder", "csv", "latex", "json"])
def test_a_dry_run_changes_nothing(kind: str, store: Store, tmp_path: Path) -> None:
    before = tree(tmp_path)
    assert export(store, tmp_path / "out", "--format", kind, "--dry-run") == 0
    assert tree(tmp_path) == before


def test_results_json_says_what_each_number_is(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    assert export(store, out, "--format", "json") == 0
    found = json.loads(out.read_text())
    content = store.read("results.parquet") or b""
    assert found["parquet"]["sha256"] == hashlib.sha256(content).hexdigest()
    by_name = {(each["arm"], each["metric"]): each for each in found["results"]}
    values = [100.0, 100.4, 100.8]
    vae: dict[str, Any] = by_name["vae", "nelbo"]
    assert vae["value"] == pytest.approx(np.mean(values))
    assert vae["spread"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    assert (vae["spread_kind"], vae["n"]) == ("SE of the mean over seeds", 3)
    assert (vae["task"], vae["unit"]) == ("density estimation", "nats")
    assert vae["estimator"] == "evidence lower bound, one draw"
    assert (vae["data"], vae["data_checksum"]) == ("mnist", ["abc"])
    assert (vae["binarisation"], vae["commit"]) == ("dynamic", ["c0ffee"])
    accuracy = by_name["ssvae semi-supervised", "accuracy"]
    assert (accuracy["task"], accuracy["unit"]) == ("semi-supervised classification", "%")
    assert accuracy["estimator"] is None
    assert by_name["ssvae supervised", "accuracy"]["task"] == "classification"


def test_no_checksum_of_a_table_that_lacks_rows(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.write_row(row(made("vae", 9)))
    assert export(store, tmp_path / "out.json", "--format", "json") == 0
    assert "results.parquet lacks rows" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["parquet"]["sha256"] is None


def test_unrecorded_binarisation_is_not_guessed(store: Store, tmp_path: Path) -> None:
    store.remove("provenance/r.json")
    assert export(store, tmp_path / "out.json", "--format", "json") == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert {each["binarisation"] for each in found["results"]} == {None}


def test_the_csv_has_every_row_and_number(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    assert export(store, out, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(out.read_text())))
    rows = store.rows()
    assert {line["cell"] for line in lines} == set(rows)
    for line in lines:
        nelbo = rows[line["cell"]]["nelbo"]
        assert line["nelbo"] == ("" if nelbo is None else repr(nelbo))
        counts = rows[line["cell"]]["digit_counts"]
        assert line["digit_counts"] == ("" if counts is None else str(counts))
    assert {line["arm"] for line in lines} == {"vae", "ssvae supervised", "ssvae semi-supervised"}


def test_the_latex_table_has_mean_se_and_n(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "arms.tex"
    out.write_text("old")
    assert export(store, out, "--format", "latex") == 0
    assert "in place of 3 bytes" in capsys.readouterr().out
    text = out.read_text()
    assert r"vae & 100.40 $\pm$ 0.23 (SE, n = 3)" in text
    assert text.count(r"\toprule") == 1


@pytest.mark.parametrize(
    ("kind", "expected"), [("folder", "is not empty"), ("csv", "expected a file")]
)
def test_bad_input_is_one_line(
    kind: str, expected: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "README.md").write_text("mine")
    before = tree(tmp_path)
    assert export(store, tmp_path / "full", "--format", kind) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert tree(tmp_path) == before
