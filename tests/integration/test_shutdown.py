"""After real signals, a resumed run gives the rows of an uninterrupted one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness import bench
from harness.data.loading import DatasetLoader
from harness.errors import StalledError
from harness.execution import trial
from harness.execution.shutdown import StopRequest
from harness.experiment.cell import Cell
from harness.monitoring import run_status
from harness.plugins.dataset import Data
from harness.storage import tensor_file
from harness.storage.layout import checkpoint_key
from harness.storage.schema import Row
from harness.storage.store import Store
from harness.training.task import Task
from tests.conftest import ROOT, CellMaker, lasting

STEPS = 600  # of small images: seconds
FLAGS = ["--models", "vae", "--seeds", "2", "--pack", "2", "--dataset", "digits"]
FLAGS += ["--iterations", str(STEPS), "--samples", "200", "--compile", "never"]
# The command, ended by its checkpoints alone: the time of grace, which a busy machine may exceed,
# is an hour.
PATIENT = """
import runpy, sys
from harness.execution.shutdown import StopRequest
StopRequest.__init__.__defaults__ = (3600.0,)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


# --- the flag -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    with StopRequest() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_what_was_asked_in_vain_interrupts_after_a_time_of_grace() -> None:
    """This also ends a call that would wait forever."""

    def run() -> None:  # interrupted wherever the main thread stands by then
        with StopRequest(grace=0.1):
            signal.raise_signal(signal.SIGINT)
            threading.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        run()


def test_signals_mean_again_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_end_for_a_reason_is_told_as_such() -> None:
    def run() -> None:
        with StopRequest() as stop:
            stop.request("nothing moved")
            raise KeyboardInterrupt

    with pytest.raises(StalledError, match="nothing moved"):
        run()


# --- a trial --------------------------------------------------------------------------------------


def test_a_trial_that_is_closed_saves_every_cell_of_its_pack_and_goes_on_to_the_same_rows(
    tmp_path: Path, store: Store, cell: CellMaker, mnist: Data
) -> None:
    """The trial is closed at its first update, between two points of the curve."""
    pack = tuple(cell("vae", seed, iterations=60) for seed in (0, 1))
    calm = Store(tmp_path / "calm")
    calm.write("judges/mnist.safetensors", store.read("judges/mnist.safetensors") or b"")
    with closing(
        trial.run(Task(pack, str(store.root), compile="never", report_seconds=0.0), mnist)
    ) as updates:
        assert next(updates).steps == 2
    assert [kept(store, one) for one in pack] == [1, 1]
    for place in (store, calm):
        list(trial.run(Task(pack, str(place.root), compile="never"), mnist))
    for one in pack:
        assert lasting(store.row(one.id)) == lasting(calm.row(one.id))
        found, expected = store.curve(one.id), calm.curve(one.id)
        assert found is not None
        assert expected is not None
        assert found.drop(columns="seconds").equals(expected.drop(columns="seconds"))


def kept(store: Store, cell: Cell) -> int | None:
    """The step of a cell's checkpoint."""
    content = store.read(checkpoint_key(cell))
    return None if content is None else int(tensor_file.parse(content)[1]["step"])


def test_a_pack_that_is_closed_while_it_is_scored_has_stored_all_weights(
    store: Store, cell: CellMaker, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cells that have not ended are scored later, without training."""
    first, second = pack = tuple(cell("vae", seed, iterations=1) for seed in (0, 1))
    with closing(trial.run(Task(pack, str(store.root), report_seconds=0.0), mnist)) as updates:
        assert next(update for update in updates if update.ended).ended == {first.id: "ok"}
    assert store.row(second.id) is None
    monkeypatch.setattr("harness.training.trainer.PackTrainer.train_step", lambda *_: 1 / 0)
    list(trial.run(Task(pack, str(store.root)), mnist))
    assert [store.rows()[one.id]["status"] for one in pack] == ["ok", "ok"]


# --- the command ----------------------------------------------------------------------------------

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command in its own session, so that signals reach it as from a terminal."""
    started = []

    def command(results: Path, *flags: str) -> "subprocess.Popen[str]":
        line = [sys.executable, "-c", PATIENT, "harness/bench.py", *FLAGS]
        line += ["--results", str(results), "--launcher", *flags]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(
                line, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True
            )
        )
        return started[-1]

    try:
        yield command
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_for(met: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    while not met() and process.poll() is None:
        time.sleep(0.05)
    assert met(), process.communicate()


def finish(results: Path) -> dict[str, Row]:
    """The rows of a run of the same command that ends by itself, in this process."""
    assert bench.main([*FLAGS, "--results", str(results), "--launcher", "in-process"]) == 0
    return {name: lasting(row) for name, row in Store(results).rows().items()}


@pytest.fixture(scope="module")
def calm_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """The rows of an uninterrupted run."""
    return finish(tmp_path_factory.mktemp("calm"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ray", "in-process"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_early_checkpoints_first_and_the_rest_is_as_if_calm(
    launcher: str,
    number: signal.Signals,
    start: Start,
    calm_rows: dict[str, Row],
    tmp_path: Path,
    cell: CellMaker,
) -> None:
    """Ctrl-C reaches the process group and SIGTERM the driver; no checkpoint was due."""
    killed, version = Store(tmp_path), DatasetLoader().version("digits")
    process = start(killed.root, launcher)
    wait_for(lambda: any(found.packs for found in run_status.read(killed)), process)
    os.killpg(process.pid, number) if number == signal.SIGINT else os.kill(process.pid, number)
    assert process.wait() == 130
    assert process.stderr is not None
    assert process.stderr.read().endswith(
        "finished cells are kept, and the same command goes on from here\n"
    )
    assert [found.end for found in run_status.read(killed)] == ["interrupted"]
    for seed in range(2):
        one = cell("vae", seed, iterations=STEPS, dataset="digits", data_version=version)
        assert one.id in calm_rows
        assert killed.row(one.id) is None
        assert 0 < (kept(killed, one) or 0) < STEPS
    assert finish(killed.root) == calm_rows
