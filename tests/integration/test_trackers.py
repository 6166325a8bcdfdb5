"""Trackers through the command: the one of the docs, and TensorBoard with Ray."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness import bench
from harness.plugins.dataset import Data
from harness.storage.store import Store
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "plug-ins.md").read_text(encoding="utf-8")
EXAMPLE = next(
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    if "@register_tr" in block
)
SHORT = ["--models", "vae", "--iterations", "20", "--samples", "200", "--compile", "never"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trackio(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Trackio, imported anew: it reads where its files are when it is imported."""
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)
    module: ModuleType = pytest.importorskip("trackio", reason="needs tests/trackers.lock")
    return module


def test_the_tracker_of_the_docs(folder: Path, mnist: Data) -> None:
    Path("lines.py").write_text(EXAMPLE)
    flags = ["--seeds", "2", "--plugin", "lines.py", "--tracker", "lines", "--results", "r"]
    assert bench.main([*SHORT, *flags, "--launcher", "in-process"]) == 0
    store = Store("r")
    (record,) = store.provenance()
    lines = [json.loads(line) for line in Path(f"{record['run']}.jsonl").read_text().splitlines()]
    assert lines[-1] == {"end": "done"}
    for seed in (0, 1):
        own = [line for line in lines if line.get("name") == f"vae seed={seed}"]
        assert [line["step"] for line in own[:-1]] == [*range(1, 21)]
        assert all(line["nelbo"] > 100 for line in own[:-1])
        assert own[-1] == {"name": f"vae seed={seed}", "status": "ok"}
    assert [*record["plugins"]] == ["lines.py"]
    assert {row["source"] for row in store.rows().values()} == {None}


def test_a_tracker_that_fails_costs_no_row(
    folder: Path, mnist: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("lines.py").write_text(EXAMPLE.replace("self.names[cell], **point", "self.names[3]"))
    flags = ["--seeds", "1", "--plugin", "lines.py", "--tracker", "lines", "--results", "r"]
    assert bench.main([*SHORT, *flags, "--launcher", "in-process"]) == 0
    error = capsys.readouterr().err
    assert error.startswith(
        "tracker 'lines' failed in on_update and is left out from here on: KeyE"
    )
    assert error.count("\n") == 1


def test_an_unknown_tracker_is_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*SHORT, "--tracker", "nobody"]) == 2
    assert (
        capsys.readouterr().err
        == "error: no tracker 'nobody'; known: mlflow, tensorboard, trackio, wandb\n"
    )
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_tensorboard_with_ray_writes_every_point(folder: Path, mnist: Data) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert bench.main([*SHORT, "--seeds", "2", "--tensorboard", "--results", "r"]) == 0
    store = Store("r")
    for cell in store.rows():
        (file,) = store.path(f"tensorboard/{cell}").glob("events.*")
        logged = EventAccumulator(str(file)).Reload()
        curve = store.curve(cell)
        assert curve is not None
        assert [each.step for each in logged.Scalars("nelbo")] == curve["step"].tolist()
        assert [each.value for each in logged.Scalars("nelbo")] == pytest.approx(
            curve["nelbo"].tolist()
        )


REPORT = ROOT / "results" / "report"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow's own, of SQLAlchemy and others
def test_mlflow_has_every_row_once_however_often_it_is_reported(
    folder: Path, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the run trains, and twice from its results."""
    pytest.importorskip("mlflow", reason="needs tests/trackers.lock")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    train = [*SHORT, "--seeds", "2", "--results", "r", "--launcher", "in-process"]
    replay = ["--replay", "r", "--track", "mlflow"]
    counts = []
    for command in ([*train, "--track", "mlflow"], replay, replay):
        assert bench.main(command) == 0
        client = MlflowClient()
        experiment = client.get_experiment_by_name("vae")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        counts.append(
            {
                (run.info.run_id, name): len(client.get_metric_history(run.info.run_id, name))
                for run in runs
                for name in ("nelbo", "final/nelbo", "nelbo_mean")
            }
        )
    assert counts[0] == counts[1] == counts[2]
    assert sorted(counts[0].values()) == [0, 0, 0, 0, 1, 1, 1, 20, 20]
    rows = Store("r").rows()
    found = {run.data.tags["cell"]: run for run in runs if "cell" in run.data.tags}
    assert found.keys() == rows.keys()
    for cell, row in rows.items():
        run = found[cell]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["final/nelbo"] == row["nelbo"]
        assert run.data.params["seed"] == str(row["seed"])
        assert run.info.run_name == f"vae seed={row['seed']}"
    (mean,) = [run.data for run in runs if "arm_summary" in run.data.tags]
    first, second = (row["nelbo"] for row in rows.values())
    assert mean.metrics["n"] == 2
    assert mean.metrics["nelbo_mean"] == pytest.approx((first + second) / 2)
    assert mean.metrics["nelbo_se"] == pytest.approx(abs(first - second) / 2)


@pytest.mark.filterwarnings("default")  # Trackio's own
def test_trackio_has_every_row_once_however_often_it_is_reported(
    trackio: ModuleType, mnist: Data, capfd: pytest.CaptureFixture[str]
) -> None:
    """While a pack of two trains, and twice from its results."""
    from trackio.sqlite_storage import SQLiteStorage

    train = [*SHORT, "--seeds", "2", "--pack", "2", "--results", "r", "--launcher", "in-process"]
    replay = ["--replay", "r", "--track", "trackio"]
    kept: list[dict[str, Any]] = []
    for command in ([*train, "--track", "trackio"], replay, replay):
        assert bench.main(command) == 0
        kept.append(
            {run.name: SQLiteStorage.get_logs("vae", run.name) for run in trackio.Api().runs("vae")}
        )
    assert kept[0] == kept[1] == kept[2]
    assert "* " not in capfd.readouterr().out  # Trackio's own lines
    store = Store("r")
    for cell, row in store.rows().items():
        *points, final = kept[0].pop(f"vae seed={row['seed']} ({cell[:8]})")
        curve = store.curve(cell)
        assert curve is not None
        assert [point["step"] for point in points] == curve["step"].tolist()
        assert [point["nelbo"] for point in points] == curve["nelbo"].tolist()
        assert (final["final/nelbo"], final["status"]) == (row["nelbo"], "ok")
    ((name, (mean,)),) = kept[0].items()
    first, second = (row["nelbo"] for row in store.rows().values())
    assert name.startswith("vae: mean ± SE (")
    assert (mean["n"], mean["nelbo_mean"]) == (2, pytest.approx((first + second) / 2))
    assert mean["nelbo_se"] == pytest.approx(abs(first - second) / 2)


@pytest.mark.filterwarnings("default")  # Trackio's own
def test_a_cell_that_failed_in_trackio_gets_its_scores_when_it_is_trained_again(
    trackio: ModuleType, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trackio.sqlite_storage import SQLiteStorage

    command = [*SHORT, "--seeds", "1", "--results", "r", "--launcher", "in-process"]
    command += ["--track", "trackio"]
    with monkeypatch.context() as patch:
        patch.setattr("harness.training.trainer.PackTrainer.advance", lambda *_: 1 / 0)
        assert bench.main(command) == 1
    assert bench.main([*command, "--resume", "failed"]) == 0
    ((cell, row),) = Store("r").rows().items()
    *points, final = SQLiteStorage.get_logs("vae", f"vae seed=0 ({cell[:8]})")
    assert [point["step"] for point in points] == [*range(1, 21)]
    assert final["final/nelbo"] == row["nelbo"]


class FakeRun:
    """A run of wandb that keeps what it is given."""

    def __init__(self, **given: Any):
        self.given, self.points, self.summary = given, dict[int, Any](), dict[str, Any]()
        self.ends: list[int] = []

    def log(self, values: Any, step: int) -> None:
        self.points[step] = values

    def finish(self, exit_code: int = 0) -> None:
        self.ends.append(exit_code)


def replace_wandb(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The runs that a stand-in of wandb starts."""
    started: list[FakeRun] = []

    def init(**given: Any) -> FakeRun:
        started.append(FakeRun(**given))
        return started[-1]

    fake = ModuleType("wandb")
    vars(fake).update(init=init, Settings=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return started


def test_wandb_has_a_run_for_each_cell_and_each_arm(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = replace_wandb(monkeypatch)
    assert bench.main(["--replay", str(REPORT), "--track", "wandb"]) == 0
    store = Store(REPORT)
    rows = store.rows()
    runs = {run.given["id"]: run for run in started if not run.given["id"].startswith("arm-")}
    assert runs.keys() == rows.keys()
    for cell, row in rows.items():
        run, curve = runs[cell], store.curve(cell)
        assert curve is not None
        assert [*run.points] == curve["step"].tolist()
        assert run.summary.get("final/accuracy") == row["accuracy"]
        assert (run.ends, run.given["config"]["seed"]) == ([0], row["seed"])
        assert run.given["name"] == f"{run.given['group']} seed={row['seed']}"
    means = {run.given["group"]: run.summary for run in started if "n" in run.summary}
    assert means["vae"]["n"] == 10
    assert means["vae"]["nelbo_se"] == pytest.approx(0.067502, abs=1e-6)


def test_arms_of_two_runs_that_share_a_short_name_stay_apart(
    folder: Path, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run has one arm `vae`, of another z; the second adds no seed to the first."""
    started = replace_wandb(monkeypatch)
    for z in (2, 3):
        keys = f"name: g\nseeds: 2\nsweeps: [{{model: vae, settings: {{z: {z}}}, iterations: 5}}]\n"
        Path("g.yaml").write_text(keys)
        flags = [
            "--results",
            "r",
            "--launcher",
            "in-process",
            "--samples",
            "200",
            "--track",
            "wandb",
        ]
        assert bench.main(["g.yaml", *flags]) == 0
    means = [run for run in started if "n" in run.summary]
    assert [(run.given["group"], run.summary["n"]) for run in means] == [("vae", 2), ("vae", 2)]
    assert means[0].given["id"] != means[1].given["id"]


def test_a_run_is_reported_to_wandb_while_it_trains(
    folder: Path, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = replace_wandb(monkeypatch)
    flags = ["--seeds", "2", "--track", "wandb", "--results", "r", "--launcher", "in-process"]
    assert bench.main([*SHORT, *flags]) == 0
    assert [len(run.points) for run in started] == [20, 20, 0]
    assert started[-1].summary["n"] == 2


def test_a_tracker_that_fails_in_a_replay_is_exit_code_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_wandb(monkeypatch)
    monkeypatch.setattr(FakeRun, "log", lambda *_, **__: 1 / 0)
    assert bench.main(["--replay", str(REPORT), "--track", "wandb"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tracker 'wandb' failed in on_update and is left out from here on: Zero")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--replay", str(REPORT)], "--replay needs a tracker, such as --track mlflow"),
        (["--replay", "nowhere", "--track", "tensorboard"], "nowhere"),
        (["--replay", str(REPORT), "--track", "wandb"], "expected pip install wandb"),
        (["--replay", str(REPORT), "--track", "trackio"], "expected pip install trackio"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    flags: list[str],
    reason: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("wandb", "trackio"):
        monkeypatch.setitem(sys.modules, package, None)
    assert bench.main(flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line
    assert not list(folder.iterdir())
