"""Results of earlier versions can be read, reported and resumed (see `tests/data/README.md`)."""

import shutil
from pathlib import Path

import pytest

from analysis import report
from harness import bench
from harness.storage.store import Store
from tests.conftest import ROOT, tree

DATA = ROOT / "tests" / "data"
COMMAND = ["--models", "vae", "--seeds", "2", "--iterations", "20", "--launcher", "in-process"]


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    """A copy of a results folder of version 0.1."""
    return Path(shutil.copytree(DATA / "version_0_1", tmp_path / "results"))


def test_the_report_as_first_published_is_read(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    shutil.copy(DATA / "first_report.parquet", tmp_path / "first" / "results.parquet")
    rows = Store(tmp_path / "first").frame()
    assert rows.groupby("model")["nelbo"].count().to_dict() == {"gmvae": 10, "vae": 10}
    assert report.main([str(tmp_path / "first"), "--out", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "gmvae against vae: better by" in page


def test_a_run_trains_no_finished_cell_again(
    old_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(old_folder / "rows")
    assert bench.main([*COMMAND, "--results", str(old_folder)]) == 0
    assert "2 of 2 cells done, 0 failed, 0 missing" in capsys.readouterr().out
    assert tree(old_folder / "rows") == before


def test_a_run_adds_seeds_to_old_rows(old_folder: Path) -> None:
    more = [flag if flag != "2" else "3" for flag in COMMAND]
    assert bench.main([*more, "--results", str(old_folder)]) == 0
    assert sorted(Store(old_folder).frame()["seed"]) == [0, 1, 2]


def test_the_status_and_the_report_of_an_old_folder(
    old_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--status", str(old_folder)]) == 0
    assert "2 of 2 cells" in capsys.readouterr().out
    assert report.main([str(old_folder), "--out", str(tmp_path / "page")]) == 0
    assert "vae" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
