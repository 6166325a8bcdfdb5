"""The commit of a row, and whether files differ from it."""

import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from harness.experiment.provenance import command_line, git_commit


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


def test_outside_a_checkout_it_is_the_version(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == f"v{metadata.version('generative-bench')}"


def test_an_environment_inside_another_checkout_is_not_that_checkout(checkout: Path) -> None:
    package = checkout / ".venv" / "harness"
    package.mkdir(parents=True)
    (package / "api.py").write_text("installed")
    assert git_commit(package) == f"v{metadata.version('generative-bench')}"


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("harness/bench.py", "python harness/bench.py quick"),
        ("/usr/bin/generative-bench", "generative-bench quick"),
    ],
)
def test_the_command_is_what_was_typed(
    program: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [program, "quick"])
    assert command_line() == command
