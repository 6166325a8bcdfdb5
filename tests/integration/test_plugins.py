"""Plug-ins through the command: their record, isolation, folders, and refusals."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import bench
from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Model
from harness.plugins.source_files import read_plugins
from harness.storage.layout import plugin_key
from harness.storage.store import Store
from harness.training import trainer
from tests.conftest import ROOT, lasting, readme_model
from tests.unit.harness.plugins.test_source_files import written

LINEAR = readme_model()
SHORT = ["--iterations", "20", "--compile", "never"]
# Each registers a model that is `linear`, and makes of every model of its process something else.
WARM_UP = (
    LINEAR.replace('"linear"', '"warm"')
    + """

import torch
from harness.training.optimization import adam

steps = 0
apply_gradients = adam.Adam.apply_gradients

def warmed(self, gradients):
    global steps
    steps += 1
    scaled = {name: min(1.0, steps / 10) * value for name, value in gradients.items()}
    apply_gradients(self, scaled)
    for group in self._groups:
        for parameter in group.params:
            parameter.mul_(0.99)  # AdamW's decay

adam.Adam.apply_gradients = warmed
"""
)
GREY = (
    LINEAR.replace('"linear"', '"grey"')
    + """

import harness.training.batches, harness.evaluation.scored_images
from harness.data.binarization import scale_to_unit

harness.training.batches.binarise_cells = lambda grey, generators: scale_to_unit(grey)
harness.evaluation.scored_images.prepare_test_images = lambda data: scale_to_unit(data.test_x)
"""
)
Bench = Callable[..., int]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run the command in this process and in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(results: str, *flags: str) -> int:
        return bench.main([*SHORT, *flags, "--results", results, "--launcher", "in-process"])

    return run


def sources(results: str) -> list[str | None]:
    return sorted(row["source"] for row in Store(results).rows().values())


# --- the record -----------------------------------------------------------------------------------


def test_a_run_keeps_the_texts_and_rows_and_provenance_name_them(
    command: Bench, mnist: Data
) -> None:
    Path("mine.py").write_text(LINEAR)
    assert command("r", "--models", "linear", "vae", "--seeds", "1", "--plugin", "mine.py") == 0
    (plugin,) = read_plugins(["mine.py"])
    store = Store("r")
    assert {row["model"]: row["source"] for row in store.rows().values()} == {
        "linear": plugin.sha256,
        "vae": None,
    }
    assert store.provenance()[0]["plugins"] == {"mine.py": plugin.sha256}
    assert json.loads(store.read(f"plugins/{plugin.sha256}.json") or b"")["files"] == {
        "mine.py": LINEAR
    }


def test_changed_code_is_reported_before_training(
    command: Bench, mnist: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--models", "linear", "--plugin", "mine.py", "--seeds"]
    Path("mine.py").write_text(LINEAR)
    assert command("r", *flags, "1") == 0
    assert "another version" not in capsys.readouterr().err
    Path("mine.py").write_text(LINEAR + "# edited\n")
    (plugin,) = read_plugins(["mine.py"])
    old = sources("r")[0] or ""
    message = (
        f"model 'linear': 1 finished cell used another version of mine.py ({old[:8]}, now "
        f"{plugin.sha256[:8]}); "
        "arms that mix versions: linear; --resume never runs all cells again\n"
    )
    assert command("r", *flags, "2", "--dry-run") == 0
    assert capsys.readouterr().err == message
    assert command("r", *flags, "2") == 0
    assert message in capsys.readouterr().err
    assert sources("r") == sorted([old, plugin.sha256])
    assert command("r", *flags, "2", "--resume", "never") == 0
    assert "another version" not in capsys.readouterr().err
    assert sources("r") == [plugin.sha256] * 2


def test_a_cell_that_another_text_scores_names_both(command: Bench, mnist: Data) -> None:
    weighted = (
        LINEAR + "\n    def log_weight(self, x, noise):\n        return x.sum(-1) * 0 - 100\n"
    )
    flags = ["--models", "linear", "--seeds", "1", "--plugin", "mine.py"]
    Path("mine.py").write_text(weighted)
    assert command("r", *flags) == 0
    Path("mine.py").write_text(weighted + "# edited\n")
    assert command("r", *flags, "--iwae", "10") == 0
    (row,) = Store("r").rows().values()
    (plugin,) = read_plugins(["mine.py"])
    trained, scored = row["source"].split(",")
    assert scored == plugin.sha256 != trained
    assert row["iwae_10"] == pytest.approx(100)


# --- isolation ------------------------------------------------------------------------------------


def test_a_plugins_changes_reach_its_own_models_alone(command: Bench, mnist: Data) -> None:
    for name, text in {"linear": LINEAR, "warm": WARM_UP, "grey": GREY}.items():
        Path(f"{name}.py").write_text(text)
    assert (
        command("alone", "--models", "vae", "linear", "--seeds", "1", "--plugin", "linear.py") == 0
    )
    plugins = [word for name in ("warm", "linear", "grey") for word in ("--plugin", f"{name}.py")]
    assert (
        command("beside", "--models", "warm", "grey", "vae", "linear", "--seeds", "1", *plugins)
        == 0
    )
    alone, beside = (
        {row["model"]: row for row in Store(place).rows().values()} for place in ("alone", "beside")
    )
    for model in ("vae", "linear"):
        assert lasting(beside[model]) | {"grid": ""} == lasting(alone[model]) | {"grid": ""}
    assert len({row["nelbo"] for row in beside.values()}) == 4


def test_steps_are_timed_in_the_models_own_room(
    command: Bench, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: dict[str, str] = {}

    def one_step(pack: trainer.PackTrainer) -> None:
        met[pack.cells[0].model] = trainer.DIVERGENCE_THRESHOLD.__class__.__name__

    monkeypatch.setattr(trainer.PackTrainer, "train_step", one_step)
    Path("mine.py").write_text(
        LINEAR + "\nfrom harness.training import trainer\ntrainer.DIVERGENCE_THRESHOLD = 'mine'\n"
    )
    assert (
        command(
            "r", "--models", "vae", "linear", "--seeds", "1", "--plugin", "mine.py", "--dry-run"
        )
        == 0
    )
    assert met == {"vae": "float", "linear": "str"}


def test_changes_of_a_plugin_without_models_are_told(
    command: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("patch.py").write_text(
        "from harness.training import trainer\ntrainer.DIVERGENCE_THRESHOLD = 1e12\n"
    )
    assert command("r", "--models", "vae", "--seeds", "1", "--plugin", "patch.py", "--dry-run") == 0
    assert capsys.readouterr().err == (
        "plug-in 'patch.py' changes harness.training.trainer.DIVERGENCE_THRESHOLD: no cell is "
        "trained so, as "
        "that holds for a plug-in's own "
        "models, and it registers none\n"
    )


def test_an_edited_plugin_undoes_its_earlier_changes() -> None:
    held = trainer.DIVERGENCE_THRESHOLD
    registry.load_source(
        "mine.py",
        LINEAR + "\nfrom harness.training import trainer\ntrainer.DIVERGENCE_THRESHOLD = 1.0\n",
    )
    assert trainer.DIVERGENCE_THRESHOLD == 1.0
    registry.load_source("mine.py", LINEAR.replace('"linear"', '"other"'))
    assert held == trainer.DIVERGENCE_THRESHOLD
    assert registry.source_hash("linear") is None
    assert "linear" not in registry.cards()


def test_a_plugin_that_fails_leaves_no_model_and_no_change() -> None:
    held = trainer.DIVERGENCE_THRESHOLD
    with pytest.raises(InputError, match="does not load: ZeroDivisionError"):
        registry.load_source(
            "mine.py",
            LINEAR
            + "\nfrom harness.training import trainer\ntrainer.DIVERGENCE_THRESHOLD = 1.0\n1 / 0",
        )
    assert held == trainer.DIVERGENCE_THRESHOLD
    assert "linear" not in registry.cards()


@pytest.mark.slow
def test_workers_load_folders_and_keep_changes_apart_too(
    command: Bench, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of the longer, patched cells go on to the cells of other models.

    A user's package `models` does not hide ours.
    """
    patched = WARM_UP.replace("0.99", "decay") + "\nfrom g_helper import decay\n"
    written(Path("own"), model=patched, g_helper="decay = 0.99")
    written(Path("models"), __init__="raise ValueError('not this one')")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("both.yaml").write_text(
        "seeds: 2\nsweeps: [{model: warm, iterations: 100}, {model: vae, iterations: 20}]"
    )
    flags = [
        "both.yaml",
        "--pack",
        "1",
        "--compile",
        "never",
        "--plugin",
        "own",
        "--results",
        "ray",
    ]
    assert command("alone", "--models", "vae", "--seeds", "2", "--pack", "1") == 0
    assert bench.main(flags) == 0
    alone, beside = Store("alone").rows(), Store("ray").rows()
    assert len(beside) == 4
    for cell, row in alone.items():
        assert lasting(beside[cell]) | {"grid": ""} == lasting(row) | {"grid": ""}


# --- files, folders, packages ---------------------------------------------------------------------


def test_a_folder_of_modules_is_trained_and_listed(
    command: Bench, mnist: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        LINEAR.replace("nn.Linear(z, PIXELS)", "layer(z, PIXELS)")
        + "\nfrom h_helper import layer\n"
    )
    written(Path("own"), h_model=text, h_helper="from torch.nn import Linear as layer")
    assert command("r", "--models", "linear", "--seeds", "1", "--plugin", "own") == 0
    (plugin,) = read_plugins(["own"])
    assert sources("r") == [plugin.sha256]
    assert set(json.loads(Store("r").read(plugin_key(plugin.sha256)) or b"")["files"]) == {
        "h_helper.py",
        "h_model.py",
    }
    capsys.readouterr()
    assert bench.main(["--list", "--plugin", "own"]) == 0
    assert "linear    5,000 steps" in capsys.readouterr().out


def test_a_package_is_listed(command: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    text = LINEAR + "\nfrom . import sizes\nimport i_package.sizes\n"
    written(Path("i_package"), __init__="", model=text, sizes="z = 1")
    assert bench.main(["--list", "--plugin", "i_package"]) == 0
    assert "linear    5,000 steps" in capsys.readouterr().out


def test_two_plugins_of_one_model_are_refused_in_one_line(
    command: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "b.py"):
        Path(name).write_text(LINEAR)
    assert command("r", "--models", "linear", "--plugin", "a.py", "--plugin", "b.py") == 2
    assert (
        capsys.readouterr().err
        == "error: model name 'linear' is taken by plugin_a_py; expected another name\n"
    )
    assert not Path("r").exists()


# --- what cannot travel ---------------------------------------------------------------------------


def test_a_model_of_this_process_alone_is_not_given_to_ray(
    command: Bench,
    own_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry.cards()
    monkeypatch.setattr(registry, "_models", dict(registry._models))
    space: dict[str, type[Model]] = {"__name__": "__main__"}  # type: ignore[dict-item]
    exec(readme_model(), space)
    flags = [*SHORT, "--models", "vae", "linear", "--seeds", "1", "--results", "r"]
    assert bench.main(flags) == 2
    assert capsys.readouterr().err == (
        "error: model 'linear' is defined in this process alone; Ray's workers cannot load it: "
        "put it into a file (--plugin FILE), hand it over in Python (plugins=[Linear]) or use "
        "--launcher in-process\n"
    )
    assert not Path("r").exists()
    assert bench.main([*flags, "--launcher", "in-process", "--dry-run"]) == 0


def python(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python in a folder that is first on its path; this checkout is second."""
    paths = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


def test_an_own_folder_called_models_hides_none_of_ours(tmp_path: Path) -> None:
    for name in ("models", "analysis"):
        written(tmp_path / name, __init__="raise ValueError('not this one')")
    (tmp_path / "mine.py").write_text(LINEAR)
    done = python("-m", "harness.bench", "--list", "--plugin", "mine.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "vae       20,000 steps" in done.stdout
    assert "linear    5,000 steps" in done.stdout


def test_a_users_models_imported_first_is_one_line(tmp_path: Path) -> None:
    written(tmp_path / "models", __init__="")
    code = "import models; from harness.bench import main; raise SystemExit(main(['--list']))"
    done = python("-c", code, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: another module 'models' ({tmp_path}/models/__init__.py) was imported before the "
        f"harness's own, "
        f"{ROOT}/models/__init__.py; expected another name for it\n"
    )
