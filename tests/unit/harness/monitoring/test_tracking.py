"""Trackers are called in order; one that fails is left out and costs nothing else."""

from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.monitoring.tracking import Tracking, make_tracked_run, make_trackers
from harness.plugins import registry, tracker
from harness.plugins.tracker import TrackedRun, register_tracker
from harness.storage.schema import describe_cell
from harness.storage.store import Store
from harness.training.task import Update
from tests.conftest import CellMaker

Calls = list[tuple[Any, ...]]


class Recorder:
    """Writes down every call."""

    def __init__(self) -> None:
        self.calls: Calls = []

    def on_run_start(self, run: TrackedRun) -> None:
        self.calls.append(
            ("start", run.id, run.grid, [each["name"] for each in run.cells.values()])
        )

    def on_update(self, cell: str, point: dict[str, Any]) -> None:
        self.calls.append(("point", cell, point["step"]))

    def on_row(self, row: dict[str, Any]) -> None:
        self.calls.append(("row", row["cell"], row["status"]))

    def on_run_end(self, end: str) -> None:
        self.calls.append(("end", end))


class RowsOnly:
    """Has one method."""

    rows = 0

    def on_row(self, row: dict[str, Any]) -> None:
        self.rows += 1


@pytest.fixture
def one(cell: CellMaker) -> Cell:
    return cell("vae", iterations=20)


@pytest.fixture
def tracked(tmp_path: Path, one: Cell) -> Store:
    """A store with the row of a cell."""
    made = Store(tmp_path)
    made.write_row({**describe_cell(one), "status": "failed", "grid": "g", "run": "r"})
    return made


def track(store: Store, one: Cell, *trackers: Any) -> Tracking:
    run = make_tracked_run({"run": "r", "grid": {"name": "g"}}, store, [one])
    return Tracking(make_trackers(trackers, store.address), run, store)


def test_every_point_and_row_is_passed_on_once_in_order(tracked: Store, one: Cell) -> None:
    recorder, rows_only = Recorder(), RowsOnly()
    points = [(one.id, {"step": step, "nelbo": 500.0}) for step in (10, 20)]
    with track(tracked, one, recorder, rows_only) as tracking:
        tracking.on_update(Update(points=points[:1]))
        tracking.on_update(Update(points=points[:1]))  # a trial that was tried again
        for _ in range(2):  # a heartbeat
            tracking.on_update(Update(points=points, ended={one.id: "failed"}))
    assert recorder.calls == [
        ("start", "r", "g", ["vae seed=0"]),
        ("point", one.id, 10),
        ("point", one.id, 20),
        ("row", one.id, "failed"),
        ("end", "done"),
    ]
    assert rows_only.rows == 1


@pytest.mark.parametrize("hook", ["on_run_start", "on_update", "on_row", "on_run_end"])
def test_a_tracker_that_fails_is_one_line_and_the_others_go_on(
    hook: str, tracked: Store, one: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, broken = Recorder(), Recorder()

    def fail(*values: Any) -> None:
        raise ConnectionError("no\nserver")

    setattr(broken, hook, fail)
    with track(tracked, one, broken, recorder) as tracking:
        for step in (10, 20):
            tracking.on_update(Update(points=[(one.id, {"step": step})], ended={one.id: "failed"}))
    assert len(recorder.calls) == 5
    ends = [call for call in broken.calls if call[0] == "end"]
    assert ends == ([] if hook == "on_run_end" else [("end", "ConnectionError: no server")])
    assert capsys.readouterr().err == (
        f"tracker 'Recorder' failed in {hook} and is left out from here on: "
        "ConnectionError: no server\n"
    )


def test_trackers_learn_how_a_run_ends(tracked: Store, one: Cell) -> None:
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt), track(tracked, one, recorder):
        raise KeyboardInterrupt
    assert recorder.calls[-1] == ("end", "interrupted")


# --- names ----------------------------------------------------------------------------------------


class NeedsArguments(RowsOnly):
    def __init__(self, project: str):
        self.project = project


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            "tensorbord",
            "no tracker 'tensorbord'; did you mean 'tensorboard'? known: mlflow, ",
        ),
        (3, "tracker 3: expected a name, or a class with one of on_run_start, on_update, on_row"),
        (NeedsArguments, "tracker 'NeedsArguments' cannot be used: TypeError: "),
    ],
)
def test_what_is_no_tracker_is_one_line(choice: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_trackers([choice], "r")
    assert str(caught.value).startswith(message)


def test_tensorboard_is_refused_for_a_bucket_before_anything_is_written() -> None:
    with pytest.raises(InputError, match=r"lie in a bucket; expected a folder$"):
        make_trackers(["tensorboard"], "s3://bench/x")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(
        InputError,
        match=r"^tracker name 'tensorboard' is taken by harness\.monitoring\.tensorboard; expected",
    ):
        register_tracker("tensorboard")(Recorder)


def test_an_edited_plugin_takes_its_old_tracker_with_it() -> None:
    text = (
        "from harness.plugins.tracker import register_tracker\n"
        "@register_tracker('one')\nclass One:\n    def on_row(self, row):\n        pass\n"
    )
    registry.load_source("mine.py", text)
    assert make_trackers(["one"], "r")[0].name == "one"
    registry.load_source("mine.py", text.replace("'one'", "'two'"))
    assert "one" not in tracker.registered_trackers
    assert "two" in tracker.registered_trackers


# --- TensorBoard ----------------------------------------------------------------------------------


def test_tensorboard_writes_a_folder_a_cell(tracked: Store, one: Cell) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points = [(one.id, {"step": s, "nelbo": 500.0 - s, "accuracy": None}) for s in (10, 20)]
    with track(tracked, one, "tensorboard") as tracking:
        tracking.on_update(Update(points=points))
        tracking.on_update(Update(ended={one.id: "failed"}))
    (file,) = tracked.path(f"tensorboard/{one.id}").glob("events.*")
    written = EventAccumulator(str(file)).Reload()
    assert written.Tags()["scalars"] == ["nelbo"]
    assert [(each.step, each.value) for each in written.Scalars("nelbo")] == [(10, 490), (20, 480)]
