"""The template of a package of plug-ins builds as a wheel, and passes its own test installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tests of the template; its wheel is installed in `site`."""
    folder = tmp_path_factory.mktemp("template")
    shutil.copytree(ROOT / "examples" / "plugin-package", folder / "source")
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(folder / "source")], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [*PIP, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    shutil.move(folder / "source" / "tests", folder / "tests")
    shutil.rmtree(folder / "source")
    return folder


def run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in the folder, with the package and the harness on its path."""
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_its_own_test_passes(installed: Path) -> None:
    done = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_list_has_what_it_adds(installed: Path) -> None:
    done = run(installed, str(ROOT / "harness" / "bench.py"), "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ppca" in done.stdout
    assert "rings: 2, continuous, 2 classes. made up by a fixed seed" in done.stdout
