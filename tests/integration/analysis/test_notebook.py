"""The notebook: committed without outputs, executed from a clean kernel on the published results
and awkward ones.
"""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import analysis
from analysis.frames import load
from harness.storage.store import Store
from tests.conftest import ROOT
from tests.unit.analysis.conftest import whole

NOTEBOOK = Path(analysis.__file__).parent / "report.ipynb"


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
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells: list[Any], kind: str) -> list[str]:
    """What the cells show of one MIME type."""
    shown = [output for cell in cells for output in cell.outputs if "data" in output]
    return [output["data"][kind] for output in shown if kind in output["data"]]


def streams(cells: list[Any]) -> list[str]:
    """What the cells print, warnings included."""
    return [
        output["text"]
        for cell in cells
        for output in cell.outputs
        if output["output_type"] == "stream"
    ]


def test_it_is_committed_without_outputs() -> None:
    """Outputs would be stale as soon as the code changes, and pictures in base64 hide what a change
    is.
    """
    notebook = read()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 10
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert max(cell.source.count("\n") + 1 for cell in code) <= 30
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.slow
def test_it_tells_the_story_of_the_published_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = run(tmp_path, monkeypatch)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert streams(cells) == []
    told = "\n".join([*outputs(cells, "text/html"), *outputs(cells, "text/markdown")])
    count = len(load.read_results(Store(ROOT / "results" / "report")).rows)
    assert f"{count} cells: {count} ok" in told
    assert "SHORTENED" not in told
    assert "The grid report names no comparison of its own; default: every pair of arms" in told
    assert "gmvae against vae: better by 2.22 nats [1.91, 2.53], paired t, n = 10" in told
    assert "gmvae against vae: better by 1.5 points [0.4, 2.7], paired t, n = 10" in told
    assert "Image by image, seed by seed" in told
    assert "reproduced within 0.5 nats" in told
    assert "17.18 + 81.25 = 98.43, not 99.06" in told
    assert "that one is more even is not supported" in told
    figures = len(outputs(cells, "image/png"))
    assert figures >= 2 + 1 + 1 + 1 + 9 + 2


@pytest.mark.slow
def test_it_reads_a_folder_and_references_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three seeds, failures, divergence, hostile text: no verdict, and nothing that is taken for
    markup.
    """
    root = whole(tmp_path / "results").root
    own = tmp_path / "own.yaml"
    figure = 'figures: {nelbo: {mean: "99.5", sd: "0.3"}}'
    own.write_text(
        f"references: [{{name: my paper, source: mine, origin: published, table: table-1, "
        f"evaluation: test, "
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
