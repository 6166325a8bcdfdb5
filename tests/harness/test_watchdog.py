"""What nothing moves in is told first, and then ended."""

import time
from pathlib import Path

import pytest

from harness.stopping import Stalled, Stop
from harness.trial import Task
from harness.tries import Tries
from harness.watchdog import NOTICES, Watchdog
from tests.conftest import CellMaker


@pytest.fixture
def tries(cell: CellMaker, tmp_path: Path) -> Tries:
    """One of two tasks was handed out."""
    of = Tries([Task((cell("vae", seed),), str(tmp_path)) for seed in range(2)])
    of.next()
    return of


def run(patience: float, tries: Tries, moves: int) -> None:
    """Move so often, at a fifth of the patience, then wait to be ended."""
    with Stop(grace=0.1) as stop, Watchdog(patience, tries, stop) as dog:
        for _ in range(moves):
            time.sleep(patience / 5)
            dog.moved()
            assert not stop.asked
        time.sleep(30)


def test_a_run_in_which_nothing_moves_is_warned_and_ended(tries: Tries, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stalled, match="1 trials were handed to Ray and are silent or not begun, 1 wait"):
        run(1.0, tries, moves=0)
    assert capsys.readouterr().err.count("nothing moved for") == NOTICES


def test_what_moves_now_and_then_is_left_alone(tries: Tries, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    with pytest.raises(Stalled):
        run(1.0, tries, moves=10)
    assert time.monotonic() - started > 2.9
