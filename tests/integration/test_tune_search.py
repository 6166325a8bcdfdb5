"""A user's own searcher and scheduler of Ray Tune, from the command to the winner's row."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import bench
from harness.execution.ray_session import import_ray, start_ray
from harness.experiment.search.space import Space
from harness.storage.schema import Row
from harness.storage.store import Store
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SCHEDULER = "ray.tune.schedulers.ASHAScheduler"
SEARCHER = "ray.tune.search.optuna.OptunaSearch"
SPACE = {"learning_rate": {"log": [1e-5, 1e-2]}}
STEPS = 250  # points with validation scores after 100, 200 and all steps
TRIALS = 4


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Ray with one CPU, for a trial at a time: each of its processes imports torch for seconds."""
    address = import_ray("local")
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        start_ray(address)
    yield ray
    ray.shutdown()


def write_grid(folder: Path, model: str = "vae", steps: int = STEPS, **search: Any) -> Path:
    """A grid of one small model with one study."""
    file = folder / "grid.yaml"
    keys = {"method": "tune", "trials": TRIALS, "space": SPACE, **search}
    sweep = {"model": model, "dataset": "digits", "iterations": steps, "validation": 200}
    file.write_text(yaml.safe_dump({"name": "own", "seeds": 1, "search": keys, "sweeps": [sweep]}))
    return file


def list_flags(file: Path, results: Path) -> list[str]:
    fast = ["--compile", "never", "--samples", "200"]
    return [str(file), "--results", str(results), *fast]


def run_here(file: Path, results: Path, *flags: str) -> int:
    return bench.main([*list_flags(file, results), *flags])


def read_stage(results: Path, stage: str) -> list[Row]:
    """The rows of a stage, by trial."""
    rows = [row for row in Store(results).rows().values() if row["stage"] == stage]
    return sorted(rows, key=lambda row: row["trial"])


def check_winner(results: Path) -> None:
    """The final has the values of the best trial of full length, and alone sees test images."""
    trials, (final,) = read_stage(results, "search"), read_stage(results, "final")
    full = [row for row in trials if row["iterations"] == STEPS]
    best = min(full, key=lambda row: (row["validation_nelbo"], row["trial"]))
    same = ("trial", "study", "search", "learning_rate", "iterations")
    assert {name: final[name] for name in same} == {name: best[name] for name in same}
    assert final["nelbo"] is not None
    for row in trials:
        assert (row["nelbo"], row["evaluated"]) == (None, "")
        assert row["validation_nelbo"] is not None
        assert row["parameters"] == final["parameters"]
        assert row["train_seconds"] > 0
    for row in (*trials, final):
        assert json.loads(row["search_spec"])["descriptive"] is True


@pytest.mark.usefixtures("running_ray")
def test_a_scheduler_stops_trials_of_random_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stopped trial is a row of the steps that it reached, with its curve."""
    file, results = write_grid(tmp_path, scheduler=SCHEDULER), tmp_path / "results"
    assert run_here(file, results) == 0
    assert f"{TRIALS + 1} of {TRIALS + 1} cells done" in capsys.readouterr().out
    trials, space = read_stage(results, "search"), Space.model_validate(SPACE)
    assert [row["trial"] for row in trials] == list(range(TRIALS))
    for row in trials:
        assert row["learning_rate"] == space.draw(0, row["trial"])["learning_rate"]
        curve = Store(results).curve(row["cell"])
        assert curve is not None
        last = curve.iloc[-1]
        assert last["step"] == row["iterations"]
        assert last["validation_nelbo"] == row["validation_nelbo"]
    lengths = {row["iterations"] for row in trials}
    assert STEPS in lengths
    assert min(lengths) < STEPS
    check_winner(results)
    assert run_here(file, results) == 0  # nothing is left
    assert "Ray Tune runs" not in capsys.readouterr().out


@pytest.mark.usefixtures("running_ray")
def test_a_searcher_goes_on_with_the_trials_that_have_no_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    file, results = write_grid(tmp_path, searcher=SEARCHER), tmp_path / "results"
    assert run_here(file, results) == 0
    before = {row["trial"]: row["cell"] for row in read_stage(results, "search")}
    check_winner(results)
    (results / "results.parquet").unlink()
    for row in [*read_stage(results, "search")[1:3], *read_stage(results, "final")]:
        (results / "rows" / f"{row['cell']}.json").unlink()
    capsys.readouterr()
    assert run_here(file, results, "--dry-run") == 0
    assert "open trials, whose points Ray Tune proposes: 2 in 1 study" in capsys.readouterr().out
    assert run_here(file, results) == 0
    assert "vae study 0: Ray Tune runs 2 trials" in capsys.readouterr().out
    after = {row["trial"]: row["cell"] for row in read_stage(results, "search")}
    assert after.keys() == before.keys()
    assert {number for number in after if after[number] != before[number]} == {1, 2}
    check_winner(results)


def test_an_interrupted_study_leaves_whole_trials_alone(tmp_path: Path) -> None:
    """Trials in the middle are not rows, as those would be that a scheduler has stopped."""
    file, results = write_grid(tmp_path, steps=600, scheduler=f"{__name__}.make_patient"), tmp_path
    line = [sys.executable, "harness/bench.py", *list_flags(file, results / "r")]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(line, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths})
    try:
        while process.poll() is None and not list((results / "r").glob("rows/*")):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
    rows = read_stage(results / "r", "search")
    assert 0 < len(rows) < TRIALS
    assert {row["iterations"] for row in rows} == {600}
    assert not list((results / "r" / "checkpoints").glob("*"))


def make_patient() -> Any:
    """A scheduler that stops no trial before its end."""
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(grace_period=90)


# --- failures -------------------------------------------------------------------------------------

# A VAE that fails in a trial while a file exists, not while it is checked and timed: the trial that
# removes the file `first` raises, and the other kills its process.
BROKEN = """
import inspect
import os
from pathlib import Path

from harness.plugins.registry import register
from models.vae import VAE


@register("broken")
class Broken(VAE):
    '''p(x|z) of the VAE.'''

    def terms(self, batch, noise):
        if Path(FLAG).exists() and any(call.function == "_advance" for call in inspect.stack()):
            try:
                (Path(FLAG) / "first").unlink()
            except FileNotFoundError:
                os._exit(1)
            raise RuntimeError("not today")
        return super().terms(batch, noise)
"""


@pytest.mark.usefixtures("running_ray")
def test_failed_trials_are_rows_and_are_tried_again_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One trial raises an error, and the process of the other dies."""
    flag, plugin, results = tmp_path / "flag", tmp_path / "broken.py", tmp_path / "results"
    flag.mkdir()
    (flag / "first").touch()
    plugin.write_text(BROKEN.replace("FLAG", repr(str(flag))))
    file = write_grid(tmp_path, "broken", trials=2, scheduler=SCHEDULER)
    assert run_here(file, results, "--plugin", str(plugin)) == 1
    rows = read_stage(results, "search")
    assert [(row["trial"], row["status"]) for row in rows] == [(0, "failed"), (1, "failed")]
    assert {row["error"] for row in rows} == {"RuntimeError: not today", "its process died"}
    assert "no winner: broken study 0" in capsys.readouterr().out
    flag.rmdir()
    assert run_here(file, results, "--plugin", str(plugin), "--resume", "failed") == 0
    assert {row["status"] for row in Store(results).rows().values()} == {"ok"}
    check_winner(results)


@pytest.mark.usefixtures("running_ray")
def test_a_searcher_that_fails_ends_the_run_with_its_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_grid(tmp_path, searcher=f"{__name__}.make_failing")
    assert run_here(file, tmp_path / "results") == 1
    err = capsys.readouterr().err
    assert f"searcher {__name__}.make_failing: out of ideas" in err
    assert "Traceback" not in err


def make_failing() -> Any:
    """A searcher that has no point to propose."""
    from ray.tune.search import Searcher

    class Failing(Searcher):
        def set_search_properties(self, *given: Any, **spec: Any) -> bool:
            return True

        def suggest(self, trial_id: str) -> Any:
            raise RuntimeError("out of ideas")

    return Failing()


@pytest.mark.parametrize(
    ("keys", "flags", "reason"),
    [
        ({"searcher": "no_such.Search"}, [], "'no_such.Search' cannot be imported and made"),
        ({"scheduler": SEARCHER}, [], "expected a TrialScheduler of Ray Tune, got a OptunaSearch"),
        ({"scheduler": SCHEDULER}, ["--launcher", "in-process"], "expected --launcher ray, got in"),
        ({"scheduler": SCHEDULER}, ["--resume", "never"], "expected another results folder"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    keys: dict[str, Any],
    flags: list[str],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if SEARCHER in keys.values():
        pytest.importorskip("optuna")
    file, results = write_grid(tmp_path, **keys), tmp_path / "results"
    assert run_here(file, results, *flags) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "A new study created" not in x]
    assert reason in line
    assert not results.exists()
