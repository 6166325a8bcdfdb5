"""What nothing moves in is told first, and then ended."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.execution.retries import Tries
from harness.execution.shutdown import Stalled, Stop
from harness.execution.watchdog import NOTICES, Watchdog
from harness.training.task import Task
from tests.conftest import CellMaker


@pytest.fixture
def tries(cell: CellMaker, tmp_path: Path) -> Tries:
    """One of two tasks was handed out."""
    of = Tries([Task((cell("vae", seed),), str(tmp_path)) for seed in range(2)])
    of.next()
    return of


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that a watchdog reads; its one value can be set."""
    found = [0.0]
    monkeypatch.setattr(
        "harness.execution.watchdog.time", SimpleNamespace(monotonic=lambda: found[0])
    )
    return found


def test_a_run_in_which_nothing_moves_is_warned_and_ended(
    tries: Tries, now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Stop() as stop:
        dog = Watchdog(100.0, tries, stop)
        for now[0] in range(100):
            dog.look()
        assert not stop.asked
        assert capsys.readouterr().err.count("nothing moved for") == NOTICES
        now[0] = 100.0
        dog.look()
        assert stop.asked
    assert "1 trials were handed to Ray and are silent or not begun, 1 wait" in stop.reason


def test_what_moves_now_and_then_is_left_alone(
    tries: Tries, now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Stop() as stop:
        dog = Watchdog(100.0, tries, stop)
        for now[0] in range(0, 1000, 20):
            dog.look()
            dog.moved()
        assert not stop.asked
    assert capsys.readouterr().err == ""


def test_what_waits_without_an_end_is_ended(tries: Tries) -> None:
    """By the watchdog's own thread, on the real clock."""
    with pytest.raises(Stalled), Stop(grace=0.0) as stop, Watchdog(0.1, tries, stop):
        threading.Event().wait()
