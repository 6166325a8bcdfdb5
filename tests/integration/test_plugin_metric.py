"""A metric in one file, written from the docs alone, from the command to the page."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis import compare, report
from harness import bench
from harness.data import idx_sets
from harness.evaluation import digit_classifier
from harness.plugins.dataset import Data
from harness.storage.store import TABLE, Store
from tests.conftest import ROOT

DOCS = (ROOT / "docs" / "plug-ins.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(# decided\.py\n.*?)```", DOCS, re.DOTALL)[0]
GRID = """
name: mine
seeds: 5
samples: 200
compare: {metrics: [nelbo, decided], margin: {decided: 0.001}}
sweeps:
  - {model: vae, beta: [1, 4], iterations: 3}
"""


@pytest.fixture
def folder(tmp_path: Path, mnist: Data, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and few images of MNIST."""
    train, test = slice(2000), slice(300)
    few = Data(
        "mnist",
        *(mnist.train_x[train], mnist.train_y[train]),
        *(mnist.test_x[test], mnist.test_y[test]),
        checksum="few",
    )
    monkeypatch.setattr(idx_sets, "load", lambda *_: few)
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(digit_classifier, "MIN_STEPS", 50)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(GRID)
    (tmp_path / "decided.py").write_text(EXAMPLE)
    return tmp_path


def run(*flags: str) -> int:
    return bench.main(["mine.yaml", "--launcher", "in-process", *flags])


@pytest.mark.usefixtures("unpainted")
def test_a_documented_metric_is_in_the_row_the_table_a_verdict_and_the_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--plugin", "decided.py", "--metrics", "nelbo_se") == 0
    results = folder / "results" / "mine"
    rows = Store(results).rows()
    assert len(rows) == 10
    assert all(0 <= row["decided"] <= 1 and row["nelbo_se"] > 0 for row in rows.values())
    frame = pd.read_parquet(results / TABLE)
    assert frame["decided"].dtype == float
    frame.to_parquet(results / TABLE)  # the metadata is lost, and with it which rows it has
    for path in (results / "rows").iterdir():
        path.unlink()
    capsys.readouterr()
    sides = ["--a", "beta=4", "--b", "beta=1", "--metric", "decided"]
    assert compare.main([str(results), *sides]) == 0
    assert capsys.readouterr().out.startswith("decided: vae β=4 against vae β=1: ")
    assert report.main([str(results)]) == 0
    page = (results / "report" / "report.html").read_text()
    assert "Share of sample pixels below 0.1 or above 0.9. Higher is better" in page
    assert (results / "report" / "figures" / "differences-decided.png").exists()
    assert (results / "report" / "figures" / "further-metrics.png").exists()
    assert "decided" in (results / "report" / "tables" / "estimates.csv").read_text()


def test_a_metric_that_is_declared_must_be_known(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 2
    assert "grid key 'compare.metrics': no metric 'decided'" in capsys.readouterr().err
    assert run("--plugin", "decided.py", "--metrics", "decidid") == 2
    assert "no optional metric 'decidid'; did you mean 'decided'?" in capsys.readouterr().err
    assert not (folder / "results").exists()
