"""The installed package: its commands work in any folder, without a checkout."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.plugins.dataset import Data
from harness.storage.store import Store
from tests.conftest import ROOT
from tests.unit.harness.plugins.test_source_files import written

Command = Callable[..., subprocess.CompletedProcess[str]]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel is installed; its requirements are the packages of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("harness", "models", "analysis"):
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [*PIP, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    shutil.rmtree(source)
    return folder / "site"


@pytest.fixture
def command(installed: Path, tmp_path: Path) -> Command:
    """An installed command, run in a folder with another `models`."""
    written(tmp_path / "models", __init__="raise ValueError('not this one')")

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed / "bin" / name), *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
        )

    return run


def test_the_list_and_the_help_page(command: Command) -> None:
    done = command("generative-bench", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "quick" in done.stdout
    assert "gmvae" in done.stdout
    page = command("generative-bench", "--help").stdout
    assert page.startswith("usage: generative-bench [GRID] [flags]")
    assert "bench.py" not in page
    page = command("generative-bench-results", "--help").stdout
    assert page.startswith("usage: generative-bench-results ")


def test_bad_input_is_exit_code_2(command: Command) -> None:
    done = command("generative-bench", "quik", "--dry-run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert command("generative-bench-report", "nowhere").returncode == 2
    assert command("generative-bench-compare", "nowhere", "--a", "a=1").returncode == 2
    assert command("generative-bench-results", "gc", "nowhere").returncode == 2


@pytest.mark.slow
def test_a_dry_run(command: Command, mnist: Data, tmp_path: Path) -> None:
    done = command("generative-bench", "quick", "--dry-run", "--seeds", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 cells: 0 done or left out, 5 to do" in done.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_row_names_the_version(command: Command, mnist: Data, tmp_path: Path) -> None:
    flags = "--models vae --seeds 1 --iterations 5 --samples 200 --compile never"
    done = command("generative-bench", *flags.split(), "--results", "r")
    assert (done.returncode, done.stderr) == (0, "")
    store = Store(tmp_path / "r")
    (row,) = store.rows().values()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert row["git_commit"] == f"v{project['version']}"
    assert store.provenance()[0]["command"] == f"generative-bench {flags} --results r"
    done = command("generative-bench-report", "r")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "r" / "report" / "report.html").is_file()
