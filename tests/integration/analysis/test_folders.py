"""The commands for results folders as a user runs them, and on a bucket."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.folders.__main__ import main
from harness.storage.store import Store
from tests.conftest import ROOT, bucket, tree

TEXT = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
PROGRAM = ["python", "-m", "analysis.folders"]
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
]


def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command of the docs in a process of its own."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "LANG": "C.UTF-8"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The published β grid, cut into two folders that share an arm."""
    shutil.copytree(ROOT / "results" / "beta", tmp_path / "results" / "beta")
    for name, dropped in (("one", "vae β=8"), ("two", "vae β=0.5")):
        copy = tmp_path / "results" / name
        shutil.copytree(tmp_path / "results" / "beta", copy)
        assert main(["drop", str(copy), "--arm", dropped]) == 0
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_docs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two parts give the whole back; then an arm is dropped, one is named, and all is published."""
    monkeypatch.chdir(folder)
    expected = Store(folder / "results" / "beta").rows()
    assert len(COMMANDS) == 11
    for line in COMMANDS:
        start, words = shlex.split(line)[:3], shlex.split(line)[3:]
        assert start == PROGRAM
        before = tree(folder)
        capsys.readouterr()
        assert main(words) == 0, line
        done = capsys.readouterr()
        assert done.err == ""
        assert done.out
        if "--dry-run" in words or "diff" in words:
            assert tree(folder) == before
        if "merge" in words and "--dry-run" not in words:
            assert Store(folder / "results" / "both").rows() == expected
    betas = [row["beta"] for row in Store(folder / "published").rows().values()]
    assert sorted(set(betas)) == [0.5, 1.0, 2.0, 4.0]
    page = run([str(ROOT / "analysis" / "report.py"), "published"], folder)
    assert (page.returncode, page.stderr) == (0, "")
    assert "strong prior" in page.stdout
    assert "strong prior" in (folder / "published" / "report" / "report.html").read_text()
    assert "strong prior" in (folder / "rows.csv").read_text()
    assert "strong prior" in (folder / "arms.tex").read_text()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["clean"],
        ["gc", "nowhere"],
        ["gc"],
        ["diff", "results/beta", "results/beta", "--format", "json"],
        ["export", "results/beta", "--to", "c", "--format", "pdf"],
        ["merge", "results/beta", "nowhere", "--into", "c"],
        ["drop", "results/beta", "--arm", "gmvae"],
        ["rename", "results/beta", "--arm", "vae β=4", "--to", ""],
        ["diff", "results/beta", "nowhere"],
        ["export", "results/beta", "--to", "results"],
        ["export", "results/beta", "--to", ""],
        ["merge", "results/beta", "--into", ""],
        ["merge", "results/beta", "--into", "/proc/none/c"],
        ["export", "results/beta", "--to", "/proc/none/c"],
        ["gc", "ftp://server/results"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    before = tree(folder)
    capsys.readouterr()
    assert main(words) == 2
    done = capsys.readouterr()
    assert (done.out, done.err.count("\n")) == ("", 1)
    assert done.err.startswith("error: ")
    assert tree(folder) == before


def test_the_exit_code_is_that_of_the_process(folder: Path) -> None:
    done = run([*PROGRAM[1:], "gc", "nowhere"], folder)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


KILLED = """
import os, sys
from analysis.folders.__main__ import main
from harness.storage.local import Folder

write, left = Folder.write, iter(range({writes}))
def write_or_die(*args):
    write(*args) if next(left, None) is not None else os.kill(os.getpid(), 9)
Folder.write = write_or_die
main(sys.argv[1:])
"""


@pytest.mark.parametrize("words", [["merge", "one", "two", "--into"], ["export", "one", "--to"]])
def test_a_killed_command_leaves_no_half_folder_and_is_completed(
    words: list[str], folder: Path
) -> None:
    """A process that is killed cleans nothing up; what it leaves goes once it is an hour old."""
    results = folder / "results"
    killed = run(["-c", KILLED.format(writes=20), *words, "both"], results)
    assert killed.returncode == -signal.SIGKILL
    assert not (results / "both").exists()
    (left,) = results.glob(".both.*")
    for path in [left, *left.iterdir()]:
        os.utime(path, (0, 0))
    done = run(["-m", "analysis.folders", *words, "both"], results)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"removed {left}, which an interrupted command left" in done.stdout
    assert not left.exists()
    expected = Store(results / ("beta" if "merge" in words else "one")).rows()
    assert Store(results / "both").rows() == expected


def test_torch_and_ray_are_not_imported() -> None:
    script = (
        "import sys; from analysis.folders.__main__ import parser; parser(); "
        "print({'torch', 'ray'} & set(sys.modules))"
    )
    assert run(["-c", script], ROOT).stdout == "set()\n"


def test_a_bucket_is_merged_dropped_cleaned_and_published(s3: str, folder: Path) -> None:
    address = bucket(s3)
    local = Store(folder / "results" / "one")
    local.write(f"weights/{next(iter(local.rows()))}.safetensors", b"weights")
    assert main(["merge", local.name, "--into", address]) == 0
    assert main(["merge", address, str(folder / "results" / "two"), "--into", address]) == 0
    store = Store(address)
    expected = Store(folder / "results" / "beta")
    assert store.rows() == expected.rows()
    for cell in expected.rows():
        assert store.read(f"curves/{cell}.parquet") == expected.read(f"curves/{cell}.parquet")
    assert main(["gc", address]) == 0
    assert store.keys("weights", "") == []
    assert main(["rename", address, "--arm", "vae β=4", "--to", "strong"]) == 0
    assert main(["drop", address, "--arm", "strong"]) == 0
    out = folder / "published"
    assert main(["export", address, "--to", str(out)]) == 0
    assert {row["beta"] for row in Store(out).rows().values()} == {0.5, 1.0, 2.0, 8.0}
