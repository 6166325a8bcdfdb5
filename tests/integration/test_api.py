"""`harness.run` from scripts and notebooks, with models that they define themselves."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import harness
from harness import bench
from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.storage.layout import plugin_key
from harness.storage.store import Store
from tests.conftest import ROOT, lasting, readme_model

EXAMPLE = next(
    re.finditer(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
)[1]
MODEL = readme_model()
SHORT: dict[str, Any] = {"iterations": 20, "compile": "never", "samples": 200}
BROKEN = MODEL.replace('"linear"', '"broken"').replace("Linear(M", "Broken(M").replace(
    "return Terms(rec=rec, kl=kl)", "return Terms(rec=rec, kl=kl * float('nan'))"
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which the test and what it starts run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.fixture(autouse=True)
def models_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.cards()
    monkeypatch.setattr(registry, "_models", dict(registry._models))


def execute(*cells: str) -> list[str]:
    """Run cells of a notebook; what each shows, as text."""
    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    )
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return [
        "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
    ]


@pytest.mark.slow
def test_a_model_of_a_notebook_runs_in_rays_workers(folder: Path, mnist: Data) -> None:
    """Its rows are those of the same model in a file, and its text is kept; the notebook defines
    and runs it twice.
    """
    call = (
        "import harness\n"
        "results = harness.run(models='linear', plugins=[Linear], results='note',"
        "\n    seeds={}, iterations=20, compile='never', samples=200, pack_size=1)\nresults"
    )
    _, first, _, second = execute(MODEL, call.format(1), MODEL + "\n# edited\n", call.format(2))
    assert "1/1 cells done, 0 running, 0 failed" in first
    assert first.count("cells done, 0 failed, 0 missing") == 1
    assert "Results('linear: 1 cell: 1 ok')" in first
    assert "2 cells: 2 ok" in second
    (Path("mine.py")).write_text(MODEL)
    flags = ["--models", "linear", "--seeds", "2", "--iterations", "20", "--samples", "200"]
    flags += [
        "--compile",
        "never",
        "--launcher",
        "in-process",
        "--plugin",
        "mine.py",
        "--pack",
        "1",
    ]
    assert bench.main([*flags, "--results", "file"]) == 0
    ours, theirs = Store("note").rows(), Store("file").rows()
    for cell, row in ours.items():
        same = {"source": "", "git_commit": "", "threads": 0, "device": ""}
        assert lasting(row) | same == lasting(theirs[cell]) | same
    (source,) = {row["source"] for row in ours.values()}
    stored = json.loads(Store("note").read(plugin_key(source)) or b"")
    assert stored["files"]["Linear.py"].endswith(MODEL[MODEL.index("@register") :])
    records = Store("note").provenance()
    assert [record["plugins"] for record in records] == [{"__main__.Linear": source}] * 2
    assert records[0]["command"].startswith("harness.run(results='note', plugins=[Linear], models=")


@pytest.mark.slow
def test_the_example_of_the_docs_is_a_script(folder: Path, mnist: Data) -> None:
    """Its model is one of `__main__`, and Ray's workers train it."""
    text = EXAMPLE.replace("iterations=500", "iterations=20").replace("seeds=5", "seeds=2")
    Path("mine.py").write_text(text)
    done = subprocess.run([sys.executable, "mine.py"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 of 6 cells done" in done.stdout
    assert "vae against shallow z=10: " in done.stdout
    assert Path("results/depth/report/report.html").is_file()
    rows = Store("results/depth").rows().values()
    assert {(row["model"], row["source"] is None) for row in rows} == {
        ("vae", True),
        ("shallow", False),
    }


SCRIPT = """
import pathlib, harness, own_module, ray
import numpy as np
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset
from harness.plugins.metric import register_metric
pathlib.Path('own_module.py').unlink()
HALF = 0.5


@register_dataset("mine")
class Mine(Dataset):
    spec = DataSpec((12,), "continuous")

    def load(self, folder):
        x = np.random.default_rng(0).normal(size=(300, 12))
        return Splits(x[:200], None, x[200:], None)


@register_metric("quarter", unit="", better="lower", meaning="a quarter")
def quarter(inputs):
    return 0.25


ray.init(num_cpus=1, include_dashboard=False)
short = {"seeds": 1, "samples": 200, "progress": False}
grid = {"name": "own", "sweeps": [{"model": "vae", "dataset": "mine", "iterations": 20}]}
assert harness.run(grid, plugins=[Mine, quarter], results="own", **short).failed.empty


@register_metric('half', unit='', better=None, columns=['accuracy'])
def half(inputs):
    yield 1.0
    return {'accuracy': HALF}


plugins = [own_module.Linear, half]
found = harness.run(models='linear', iterations=20, plugins=plugins, results='r', **short)
print(found, ray.is_initialized())
"""


def test_cells_that_fail_do_not_raise(folder: Path, mnist: Data) -> None:
    Path("broken.py").write_text(BROKEN)
    results = harness.run(
        {"name": "both", "sweeps": [{"model": "broken"}, {"model": "vae"}]},
        seeds=1,
        plugins="broken.py",
        launcher="in-process",
        progress=False,
        results="r",
        **SHORT,
    )
    assert list(results.rows["status"]) != list(results.failed["status"]) == ["failed"]
    (error,) = results.failed["error"]
    assert error == "model 'broken' gives kl that is not finite, with fresh weights"


def test_a_run_without_a_display_prints_nothing(
    folder: Path, mnist: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.run(models="vae", seeds=1, launcher="in-process", results="r", progress=False, **SHORT)
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_what_cannot_be_sent_to_rays_workers_is_one_line(folder: Path, mnist: Data) -> None:
    text = MODEL.replace("        self.z = z\n", "        self.z = z\n        LOCK.locked()\n")
    text = "import threading\nLOCK = threading.Lock()\n" + text
    Path("model.py").write_text(text)
    script = (
        "import harness, sys\nfrom harness.errors import InputError\n{}\ntry:\n"
        "    harness.run(models='linear', seeds=1, iterations=20, plugins=[Linear], results='r')\n"
        "except InputError as error:\n    sys.exit(str(error))\n"
    )
    Path("mine.py").write_text(script.format(text))
    done = subprocess.run([sys.executable, "mine.py"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "plug-in '__main__.Linear' cannot be sent to Ray's workers (TypeError: cannot pickle"
    )
    assert not Path("r").exists()


@pytest.mark.slow
def test_modules_data_sets_metrics_and_a_ray_that_runs(folder: Path, mnist: Data) -> None:
    """The class is of a module that the workers cannot import, as it is removed once the script has
    it. The data set and the metrics are of the script. Ray is the script's own.
    """
    Path("own_module.py").write_text(MODEL)
    Path("mine.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "-B", "mine.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Results('linear: 1 cell: 1 ok') True\n")
    assert [row["accuracy"] for row in Store("r").rows().values()] == [0.5]
    texts = [json.loads(Store("r").read(key) or b"") for key in Store("r").keys("plugins", ".json")]
    assert {name for text in texts for name in text["files"]} == {"Linear.py", "half.py"}
    rows = Store("own").rows().values()
    assert {(row["dataset"], row["data_kind"], row["quarter"]) for row in rows} == {
        ("mine", "continuous", 0.25)
    }
    assert all(len(row["data_version"]) == 12 for row in rows)


def test_a_bad_grid_is_one_line_and_nothing_is_written(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^no model 'vea'; did you mean 'vae'\? known: "):
        harness.run(models="vea", seeds=1)
    assert not list(folder.iterdir())


def test_importing_the_harness_imports_no_torch() -> None:
    code = "import sys, harness; print('torch' in sys.modules, 'run' in dir(harness))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False False\n"
