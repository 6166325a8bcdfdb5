"""Searches from the command to the winners' rows: kills, prefixes, the test set, and failures."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import harness
from harness import bench
from harness.cli import run as command
from harness.data import loading
from harness.execution import ray_worker, trial
from harness.experiment import grid_file
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.search.design import Design
from harness.storage import tensor_file
from harness.storage.layout import checkpoint_key
from harness.storage.schema import Row
from harness.storage.store import Store
from harness.training.task import Task
from tests.conftest import ROOT, lasting

pytestmark = pytest.mark.slow

SPACE = {"learning_rate": {"log": [1e-4, 3e-3]}}
SWEEP = {"model": "vae", "dataset": "digits", "iterations": 40, "validation": 200}
SEARCHES: Mapping[str, dict[str, Any]] = {
    "random": {"trials": 4},
    "halving": {"trials": 4, "method": "halving", "eta": 2, "rungs": 2},
    "tpe": {"trials": 13, "method": "tpe", "batch": 12},
}
FAST = ["--compile", "never", "--samples", "200"]


def make_keys(method: str, *others: dict[str, Any], seeds: int = 1) -> dict[str, Any]:
    """The keys of a grid of a small VAE and of other sweeps."""
    search = {"space": SPACE, **SEARCHES[method]}
    return {"name": "tuned", "seeds": seeds, "search": search, "sweeps": [SWEEP, *others]}


def write_grid(folder: Path, method: str, *others: dict[str, Any], seeds: int = 1) -> Path:
    """The file of such a grid."""
    file = folder / f"{method}.yaml"
    file.write_text(yaml.safe_dump(make_keys(method, *others, seeds=seeds)))
    return file


def run_here(file: Path, results: Path, *flags: str) -> int:
    """Run a grid in this process."""
    return bench.main(
        [str(file), "--results", str(results), "--launcher", "in-process", *FAST, *flags]
    )


def read_lasting(results: Path) -> dict[str, Row]:
    """The rows without the columns that differ from run to run."""
    return {name: lasting(row) for name, row in Store(results).rows().items()}


# --- kills ----------------------------------------------------------------------------------------

Start = Callable[[Path, Path, str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command in a session of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(file: Path, results: Path, launcher: str) -> "subprocess.Popen[bytes]":
        line = [sys.executable, "harness/bench.py", str(file), "--results", str(results), *FAST]
        line += ["--pack", "2", "--launcher", launcher]
        started.append(subprocess.Popen(line, cwd=ROOT, start_new_session=True))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def has_row(results: Path, **columns: Any) -> bool:
    """Whether there is a row with these values."""
    rows = Store(results).rows().values() if results.exists() else []
    return any(all(row[name] == value for name, value in columns.items()) for row in rows)


@pytest.mark.parametrize(
    ("method", "launcher", "moments"),
    [
        ("random", "ray", [{"stage": "search"}]),
        ("halving", "in-process", [{"stage": "search"}, {"rung": 1}, {"stage": "final"}]),
        ("tpe", "in-process", [{"stage": "search", "trial": 11}]),
    ],
)
def test_kills_at_any_stage_leave_the_rows_of_an_undisturbed_run(
    method: str, launcher: str, moments: list[dict[str, Any]], start: Start, tmp_path: Path
) -> None:
    """The driver is killed as soon as a row of the stage is there, and run again, in this process
    the last time.
    """
    file = write_grid(tmp_path, method, seeds=3)  # two packs
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    for columns in moments:
        process = start(file, killed, launcher)
        while not has_row(killed, **columns) and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert has_row(killed, **columns)
    assert run_here(file, killed, "--pack", "2") == 0
    assert run_here(file, calm) == 0
    assert read_lasting(killed) == read_lasting(calm)
    assert has_row(killed, stage="final", status="ok")


# --- a rung is the start of a training ------------------------------------------------------------


def test_the_last_rung_is_a_direct_training_to_the_bit(tmp_path: Path) -> None:
    """Row, weights and optimiser state of trials that went through rungs, and of direct ones."""
    design = Design(grid_file.validate(make_keys("halving")), registry.cards(), None, versions())
    data, config = loading.load("digits").without_test(), EvaluationConfig().of_search
    stores = {name: Store(tmp_path / name) for name in ("rungs", "direct")}

    def train(name: str, cells: list[Cell]) -> dict[str, Row]:
        stores[name].prepare()
        task = Task(tuple(cells), stores[name].address, config, compile="never", keeps_state=True)
        list(trial.run(task, data))
        return dict(stores[name].rows())

    cells = design.list_due({})
    rows = train("rungs", cells)
    last = [cell for cell in design.list_due(rows) if cell.rung == 1]
    assert [cell.iterations for cell in last] == [40, 40]
    rows = train("rungs", last)
    direct = train("direct", last)
    for cell in last:
        assert lasting(rows[cell.id]) == lasting(direct[cell.id])
        assert rows[cell.id]["validation_nelbo"] is not None
        states = [read_state(store, cell) for store in stores.values()]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def versions() -> dict[str, str]:
    """The version of the data set in the ids of its cells."""
    return {"digits": loading.DatasetLoader().version("digits")}


def read_state(store: Store, cell: Cell) -> dict[str, torch.Tensor]:
    """The tensors of a cell's training state."""
    content = store.read(checkpoint_key(cell))
    assert content is not None
    return dict(tensor_file.parse(content)[0])


# --- the test set ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("running_ray")
def test_workers_of_a_search_get_no_test_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put for Ray's workers has test images in the second stage alone."""
    shipped: list[int] = []
    to_arrays = ray_worker.to_arrays

    def record(sets: Mapping[str, Data]) -> ray_worker.Arrays:
        arrays = to_arrays(sets)
        shipped.append(sum(len(each["test_x"]) + len(each["test_y"]) for each in arrays.values()))
        return arrays

    monkeypatch.setattr(ray_worker, "to_arrays", record)
    file, results = write_grid(tmp_path, "random"), tmp_path / "results"
    assert bench.main([str(file), "--results", str(results), *FAST]) == 0
    assert shipped == [0, 2 * 360]
    check_search_rows(results)


@pytest.mark.parametrize("method", SEARCHES)
def test_no_trial_reads_a_test_image(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial is handed a data set without test images."""
    run, stages = trial.run, list[str]()

    def run_blind(task: Task, data: Data, store: Store | None = None) -> Any:
        stages.append(task.cells[0].stage)
        assert (len(data.test_x) == 0) == task.is_search
        return run(task, data, store)

    monkeypatch.setattr(trial, "run", run_blind)
    assert run_here(write_grid(tmp_path, method), tmp_path / "results") == 0
    assert set(stages) == {"search", "final"}
    check_search_rows(tmp_path / "results")


def check_search_rows(results: Path) -> None:
    """No column of the test set is filled in the rows of trials; it is in those of winners."""
    rows = Store(results).rows().values()
    trials = [row for row in rows if row["stage"] == "search"]
    finals = [row for row in rows if row["stage"] == "final"]
    scores = {"nelbo", "rec", "kl", "active_units", "score_seconds"} & set(trials[0])
    assert {"nelbo", "score_seconds"} <= scores
    for name in scores:
        assert all(row[name] is None for row in trials)
        assert any(row[name] is not None for row in finals)
    assert all(row["validation_nelbo"] is not None for row in trials)
    for row in (*trials, *finals):
        assert json.loads(row["search_spec"])["metric"] == "validation_nelbo"


# --- failures -------------------------------------------------------------------------------------

# A VAE that raises in a trial, not while it is checked and timed, as long as a file exists.
BROKEN = """
import inspect
from pathlib import Path

from harness.plugins.registry import register
from models.vae import VAE


@register("broken")
class Broken(VAE):
    '''p(x|z) of the VAE.'''

    def terms(self, batch, noise):
        if Path(FLAG).exists() and any(call.function == "_advance" for call in inspect.stack()):
            raise RuntimeError("not today")
        return super().terms(batch, noise)
"""


def test_a_model_whose_trials_all_failed_has_no_winner_and_the_other_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After it is mended, `--resume failed` goes on with its trials and its winner."""
    flag, plugin, results = tmp_path / "flag", tmp_path / "broken.py", tmp_path / "results"
    flag.touch()
    plugin.write_text(BROKEN.replace("FLAG", repr(str(flag))))
    file = write_grid(tmp_path, "random", SWEEP | {"model": "broken"})
    assert run_here(file, results, "--plugin", str(plugin)) == 1
    out = capsys.readouterr().out
    assert out.count("no winner: ") == 1
    assert "no winner: broken study 0: no trial has validation_nelbo, see their rows" in out
    assert "winner: vae study 0: trial " in out
    rows = Store(results).rows().values()
    found = sorted((row["model"], row["stage"], row["status"]) for row in rows)
    assert {row["error"] for row in rows if row["model"] == "broken"} == {"RuntimeError: not today"}
    good = [("vae", "final", "ok"), *[("vae", "search", "ok")] * 4]
    assert found == [*[("broken", "search", "failed")] * 4, *good]
    flag.unlink()
    assert run_here(file, results, "--plugin", str(plugin), "--resume", "failed") == 0
    rows = Store(results).rows().values()
    assert {row["status"] for row in rows} == {"ok"}
    assert sum(row["stage"] == "final" for row in rows) == 2


# --- in the middle --------------------------------------------------------------------------------


def test_the_plan_and_the_status_in_the_middle_of_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, results = write_grid(tmp_path, "halving"), tmp_path / "results"
    launch = command.launch

    def launch_first(experiment: Any, workload: Any, *rest: Any) -> None:
        if has_row(results, stage="search"):
            raise KeyboardInterrupt
        launch(experiment, workload, *rest)

    monkeypatch.setattr(command, "launch", launch_first)
    assert run_here(file, results) == 130
    monkeypatch.undo()
    capsys.readouterr()
    assert run_here(file, results, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "up to 1 more cells follow" in out
    assert bench.main(["--status", str(results)]) == 0
    assert "4" in capsys.readouterr().out
    before = read_lasting(results)
    assert [row["rung"] for row in before.values()] == [0] * 4
    assert run_here(file, results) == 0
    after = read_lasting(results)
    assert before.items() <= {name: after[name] for name in before}.items()
    assert sorted((row["stage"], row["rung"]) for row in after.values()) == [
        ("final", 0),
        *[("search", 0)] * 4,
        *[("search", 1)] * 2,
    ]
    assert not any(Store(results).read(checkpoint_key(cell)) for cell in list_cells(results))


def list_cells(results: Path) -> list[Cell]:
    """The cells of halving that have rows."""
    rows = Store(results).rows()
    grid = grid_file.validate(make_keys("halving"))
    return Design(grid, registry.cards(), None, versions()).list_due(rows)


def test_a_search_in_python_gives_the_rows_of_the_command(tmp_path: Path) -> None:
    keys = make_keys("random")
    found = harness.run(
        keys, results=tmp_path / "python", launcher="in-process", compile="never", samples=200
    )
    assert len(found.rows) + len(found.trials) == 5
    assert run_here(write_grid(tmp_path, "random"), tmp_path / "shell") == 0
    assert read_lasting(tmp_path / "python") == read_lasting(tmp_path / "shell")
