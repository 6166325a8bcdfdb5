"""The documentation is correct: its commands run, its model works, its lists are complete."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import compare, report
from harness import bench
from harness.experiment.grid_file import apply_flags, validate
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.storage.schema import COLUMN_NAMES
from harness.storage.store import Store
from tests.conftest import README, ROOT

DOCS = {
    path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))
}
LINES = [
    line.split("#")[0].strip()
    for text in (README, DOCS["grids.md"])
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
ANALYSES = [line for line in LINES if line.startswith("python analysis/")]
COMMANDS = [line for line in LINES if "harness/bench.py" in line]
CHEAP = [line for line in COMMANDS if {"--list", "--dry-run", "--help"} & {*line.split()}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the README's relative paths work."""
    for name in ("harness", "analysis"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) == len(CHEAP) + 1  # the other one is run by the test of the example
    assert sum("--dry-run" in command for command in CHEAP) == 1  # it times real steps
    assert ANALYSES


@pytest.mark.slow
@pytest.mark.parametrize("command", CHEAP)
def test_every_command_runs(command: str, folder: Path, mnist: Data) -> None:
    """Only commands that do not train run here; those that time steps compile nothing."""
    python, *words = shlex.split(command)
    assert python == "python"
    words += ["--compile", "never"] * ("--dry-run" in words)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_example_of_one_cell_and_its_report(folder: Path, mnist: Data) -> None:
    """The README's command runs with 20 steps, then the docs' Python lines and the report."""
    command = next(command for command in COMMANDS if "results/one" in command)
    words = [word if word != "2000" else "20" for word in shlex.split(command)[1:]]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    example = next(
        block
        for block in re.findall(r"```python\n(.*?)```", DOCS["results-table.md"], re.DOTALL)
        if block.startswith(">>>")
    )
    (folder / "example.txt").write_text(example)
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "example.txt"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    report = subprocess.run(
        [sys.executable, "analysis/report.py", "results/one"], capture_output=True, text=True
    )
    assert report.returncode == 0
    assert (folder / "results/one/report/report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", ANALYSES)
def test_every_analysis_runs_on_real_results(command: str, folder: Path) -> None:
    """The published results are copied first, since a report is written into their folder."""
    for name in ("report", "beta"):
        shutil.copytree(ROOT / "results" / name, folder / "results" / name)
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_grid_file_is_a_grid() -> None:
    import yaml

    for text, cells in ((README, 3 + 4), (DOCS["grids.md"], 3 + 2 + 4)):
        block = next(b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
        grid = validate({"name": "mine", **yaml.safe_load(block)})
        assert len(grid.cells(registry.cards())) == cells * 10
    assert apply_flags({"name": "mine", **yaml.safe_load(block)}, {"seeds": 2}).seeds == [0, 1]
    recipes = re.findall(r"```yaml\n(.*?)```", DOCS["grids.md"], re.DOTALL)[1]
    found = validate({"name": "mine", **yaml.safe_load(recipes)}).cells(registry.cards())
    assert {dict(cell.recipe)["keep"] for cell in found} == {"best"}
    assert len(found) == 2 * 5


@pytest.mark.slow
def test_the_model_of_the_readme_runs_in_rays_workers(
    own_model: Path, tmp_path: Path, mnist: Data
) -> None:
    """The README's model has under 40 lines and runs through the command line and Ray."""
    assert len(own_model.read_text().splitlines()) < 40
    results = tmp_path / "results"
    flags = [
        "--models",
        "linear",
        "--plugin",
        str(own_model),
        "--iterations",
        "300",
        "--seeds",
        "2",
        "--samples",
        "200",
        "--pack",
        "2",
    ]
    done = subprocess.run(
        [sys.executable, "harness/bench.py", *flags, "--results", str(results)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rows = Store(results).rows().values()
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert all(row["nelbo"] < 300 for row in rows)  # untrained: above 540


def test_every_shipped_model_and_column_is_listed() -> None:
    for name in ("vae", "gmvae", "ssvae"):
        assert name in registry.cards()
        assert f"`{name}`" in README
    listed = set(re.findall(r"`(\w+)`", DOCS["results-table.md"]))
    assert set(COLUMN_NAMES) <= listed


def test_every_flag_named_in_the_readme_exists(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (bench.main, report.main, compare.main):
        with pytest.raises(SystemExit):
            command(["--help"])
    page = capsys.readouterr().out
    names = ("grids.md", "plug-ins.md", "storage.md")
    text = "\n".join([README, *(DOCS[name] for name in names)])
    for flag in set(re.findall(r"`[^`\n]*?(--[a-z][a-z-]+)", text)):
        assert flag in page


def test_files_that_the_readme_links_to_exist() -> None:
    for folder, text in [(ROOT, README), *((ROOT / "docs", text) for text in DOCS.values())]:
        links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
        for link in links:
            assert (folder / link).exists(), link
