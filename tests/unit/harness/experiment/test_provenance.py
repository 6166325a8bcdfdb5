"""The commit of a row, and whether files differ from it."""

import subprocess
from pathlib import Path

import pytest

from harness.experiment.provenance import git_commit


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a file of code and a published result."""
    for file in ("harness/training/trainer.py", "results/report/results.parquet"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("as committed")
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    assert len(git_commit(checkout / "harness")) == 40


@pytest.mark.parametrize(
    ("file", "mark"), [("harness/training/trainer.py", "+"), ("results/report/results.parquet", "")]
)
def test_changed_code_is_marked_and_changed_results_are_not(
    file: str, mark: str, checkout: Path
) -> None:
    clean = git_commit(checkout / "harness")
    (checkout / file).unlink()
    assert git_commit(checkout / "harness") == clean + mark


def test_outside_a_checkout_there_is_none(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == "unknown"
