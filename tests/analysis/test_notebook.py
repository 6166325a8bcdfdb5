"""The notebook: committed without outputs, executed from a clean kernel on the small folder and on an awkward one."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import analysis
from analysis import results, sheets
from harness import grid
from harness.grid import Cell
from harness.schema import ARM
from harness.store import Store
from tests.analysis.conftest import whole

FOLDER = Path(analysis.__file__).parent
NOTEBOOK, SAMPLE = FOLDER / "report.ipynb", FOLDER / "sample"


def read() -> Any:
    """The notebook as it lies there."""
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[Any]:
    """The code cells after a run in another folder than the notebook's."""
    for name in ("RESULTS", "REFERENCES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = read()
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells: list[Any], kind: str) -> list[str]:
    """What the cells show of one MIME type."""
    shown = [output for cell in cells for output in cell.outputs if "data" in output]
    return [output["data"][kind] for output in shown if kind in output["data"]]


def streams(cells: list[Any]) -> list[str]:
    """What the cells print, warnings included."""
    return [output["text"] for cell in cells for output in cell.outputs if output["output_type"] == "stream"]


def test_it_is_committed_without_outputs() -> None:
    """Outputs would be stale as soon as the code changes, and pictures in base64 hide what a change is."""
    notebook = read()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 10
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert max(cell.source.count("\n") + 1 for cell in code) <= 24
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.slow
def test_it_tells_the_story_of_the_small_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = run(tmp_path, monkeypatch)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert streams(cells) == []
    told = "\n".join([*outputs(cells, "text/html"), *outputs(cells, "text/markdown")])
    assert "42 cells: 42 ok" in told
    assert "SHORTENED: 400 of 20,000 steps (vae, gmvae), 100 of 30,000 steps (ssvae)" in told
    assert "Stated by the grid sample before its results were seen: every pair of arms" in told
    assert "15 comparisons" in told
    assert "17.18 + 81.25 = 98.43, not 99.06" in told
    assert "that one is more even is not supported" in told
    assert "cannot be compared: shortened: 400 of 20,000 steps" in told
    figures = len(outputs(cells, "image/png"))
    assert figures >= 2 + 1 + 1 + 1 + 1 + 6 + 2


@pytest.mark.slow
def test_it_reads_a_folder_and_references_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seeds, failures, divergence, hostile text: no verdict, and nothing that is taken for markup."""
    root = whole(tmp_path / "results").root
    own = tmp_path / "own.yaml"
    figure = 'figures: {nelbo: {mean: "99.5", sd: "0.3"}}'
    own.write_text(
        f"references: [{{name: my paper, source: mine, origin: published, table: table-1, evaluation: test, "
        f"model: vae, n: 12, {figure}}}]",
        encoding="utf-8",
    )
    cells = run(tmp_path, monkeypatch, RESULTS=str(root), REFERENCES=str(own))
    assert streams(cells) == []
    told = "\n".join([*outputs(cells, "text/html"), *outputs(cells, "text/markdown")])
    assert "my paper" in told
    assert "too few seeds: 3 of ours, a verdict takes 5" in told
    assert "<script" not in told
    assert "&lt;script" in told


def test_the_small_folder_is_real_small_and_whole() -> None:
    found = results.read(Store(SAMPLE))
    assert len(found.rows) == 42
    assert set(found.rows["status"]) == {"ok"}
    assert set(found.rows["git_commit"].str.len()) == {40}
    assert found.rows["data_checksum"].nunique() == 1
    assert {record["commit"] for record in found.provenance} == set(found.rows["git_commit"])
    assert set(found.rows["run"]) == {record["run"] for record in found.provenance}
    assert len(found.points) > 1000
    assert len(sheets.read(Store(SAMPLE), found.rows)["samples"]) == 6
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 1_000_000


def test_the_small_folder_names_no_place_on_a_machine() -> None:
    table = results.read(Store(SAMPLE)).rows.to_csv()
    texts = [path.read_text(encoding="utf-8") for path in SAMPLE.rglob("*") if path.suffix in (".json", ".yaml", ".md")]
    assert len(texts) == 3
    for text in (table, *texts):
        for place in ("/home/", "/root/", "/tmp/", "/Users/", str(FOLDER.parent)):
            assert place not in text


def test_the_small_folder_is_what_its_grid_asks_for() -> None:
    """Each row bears the id of the very cell it tells of, and the cells are those of the grid beside it."""
    found = results.read(Store(SAMPLE))
    for row in found.rows.to_dict("records"):
        values = {name: row[name] for name in ARM} | {"seed": row["seed"]}
        settings = tuple(sorted(json.loads(row["settings"]).items()))
        assert Cell(**{str(name): value for name, value in values.items()} | {"settings": settings}).id == row["cell"]
    asked = grid.validate(grid.read(str(SAMPLE / "grid.yaml"))).model_dump()
    assert [record["grid"] | {"subset": None} for record in found.provenance] == [asked]
    assert len(found.rows) == found.provenance[0]["cells"]
