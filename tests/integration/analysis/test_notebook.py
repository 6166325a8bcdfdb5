"""The notebook is stored with outputs and runs on published and unusual results."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import analysis
from analysis.frames import load
from harness.storage.store import Store
from tests.conftest import ROOT
from tests.unit.analysis.conftest import write_full_results

NOTEBOOK = Path(analysis.__file__).parent / "report.ipynb"


def read() -> Any:
    """The notebook as it is stored."""
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def run(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[Any]:
    """The code cells after a run in the notebook's folder, as Jupyter does it."""
    for name in ("RESULTS", "REFERENCES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = read()
    NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": NOTEBOOK.parent}},
    ).execute()
    return code_cells(notebook)


def code_cells(notebook: Any) -> list[Any]:
    """The code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells: list[Any], kind: str) -> list[str]:
    """The outputs of one MIME type."""
    shown = [output for cell in cells for output in cell.outputs if "data" in output]
    return [output["data"][kind] for output in shown if kind in output["data"]]


def streams(cells: list[Any]) -> list[str]:
    """The printed output of the cells, with warnings."""
    return [
        output["text"]
        for cell in cells
        for output in cell.outputs
        if output["output_type"] == "stream"
    ]


def texts(cells: list[Any]) -> str:
    """All visible text."""
    return "\n".join([*outputs(cells, "text/html"), *outputs(cells, "text/markdown")])


def test_it_is_kept_with_its_outputs() -> None:
    """To renew them, from the folder of the notebook:

    jupyter nbconvert --to notebook --execute --inplace
    --ExecutePreprocessor.record_timing=False report.ipynb
    """
    notebook = read()
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert len(outputs(cells, "image/png")) >= 10
    assert streams(cells) == []
    assert max(cell.source.count("\n") + 1 for cell in cells) <= 30
    assert notebook.metadata.kernelspec.name == "python3"


def test_it_is_small_and_names_no_place_and_no_time() -> None:
    assert NOTEBOOK.stat().st_size < 1_000_000
    cells = read().cells
    assert not any("execution" in cell.metadata for cell in cells)
    shown = texts(code_cells(read()))
    assert re.findall(r"(?<=[\s\"'=(,>])/\w+/\S*", shown) == []


def test_it_imports_one_name_of_ours() -> None:
    source = "\n".join(cell.source for cell in code_cells(read()))
    imports = re.findall(r"^.*import.*$", source, re.MULTILINE)
    assert [line for line in imports if re.search("analysis|harness|models", line)] == [
        "from analysis import Results"
    ]


@pytest.mark.slow
def test_its_outputs_are_those_of_the_published_results(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, cells = code_cells(read()), run(monkeypatch)
    assert texts(cells) == texts(stored)
    assert len(outputs(cells, "image/png")) == len(outputs(stored, "image/png"))
    assert streams(cells) == []
    shown = texts(cells)
    count = len(load.read_results(Store(ROOT / "results" / "report")).rows)
    assert f"{count} cells: {count} ok" in shown
    assert "SHORTENED" not in shown
    assert "The grid report names no comparison of its own; default: every pair of arms" in shown
    assert "gmvae against vae: better by 2.22 nats [1.91, 2.53], paired t, n = 10" in shown
    assert "gmvae against vae: better by 1.5 points [0.4, 2.7], paired t, n = 10" in shown
    assert "Image by image, seed by seed" in shown
    assert "reproduced within 0.5 nats" in shown
    assert "17.18 + 81.25 = 98.43, not 99.06" in shown
    assert "that one is more even is not supported" in shown


@pytest.mark.slow
def test_it_reads_other_folders_and_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few seeds, failures and hostile text give no verdict and no markup."""
    root = write_full_results(tmp_path / "results").root
    own = tmp_path / "own.yaml"
    figure = 'figures: {nelbo: {mean: "99.5", sd: "0.3"}}'
    own.write_text(
        "references: [{name: my paper, source: mine, origin: published, table: table-1, "
        f"evaluation: test, model: vae, n: 12, {figure}}}]",
        encoding="utf-8",
    )
    cells = run(monkeypatch, RESULTS=str(root), REFERENCES=str(own))
    assert streams(cells) == []
    shown = texts(cells)
    assert "my paper" in shown
    assert "too few seeds: 3 of ours, a verdict takes 5" in shown
    assert "<script" not in shown
    assert "&lt;script" in shown
