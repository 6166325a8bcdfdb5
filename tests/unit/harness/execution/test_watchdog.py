"""A run without progress gets warnings, then ends."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import StalledError
from harness.execution.retries import RetryQueue
from harness.execution.shutdown import StopRequest
from harness.execution.watchdog import MAX_WARNINGS, Watchdog
from harness.storage.store import Store
from harness.training.task import Task
from tests.conftest import CellMaker


@pytest.fixture
def tries(cell: CellMaker, tmp_path: Path) -> RetryQueue:
    """A queue of two tasks, of which one has started."""
    tasks = [Task((cell("vae", seed),), str(tmp_path)) for seed in range(2)]
    of = RetryQueue(tasks, Store(tmp_path))
    of.next()
    return of


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the watchdog, which a test can set."""
    found = [0.0]
    monkeypatch.setattr(
        "harness.execution.watchdog.time", SimpleNamespace(monotonic=lambda: found[0])
    )
    return found


def test_a_run_in_which_nothing_moves_is_warned_and_ended(
    tries: RetryQueue, now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with StopRequest() as stop:
        dog = Watchdog(100.0, tries, stop)
        for now[0] in range(100):
            dog.check()
        assert not stop.requested
        assert capsys.readouterr().err.count("no progress for") == MAX_WARNINGS
        now[0] = 100.0
        dog.check()
        assert stop.requested
    assert "1 trials sent no update or did not start, 1 wait" in stop.reason


def test_what_moves_now_and_then_is_left_alone(
    tries: RetryQueue, now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with StopRequest() as stop:
        dog = Watchdog(100.0, tries, stop)
        for now[0] in range(0, 1000, 20):
            dog.check()
            dog.reset()
        assert not stop.requested
    assert capsys.readouterr().err == ""


def test_what_waits_without_an_end_is_ended(tries: RetryQueue) -> None:
    """The watchdog's thread ends the run on the real clock."""
    with pytest.raises(StalledError), StopRequest(grace=0.0) as stop, Watchdog(0.1, tries, stop):
        threading.Event().wait()
