"""The progress of a run: lines in a pipe, a table on a terminal."""

import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import StalledError
from harness.monitoring import run_status
from harness.monitoring.progress import LINE_SECONDS, Progress, make_silent_console
from harness.monitoring.run_state import RunState
from harness.storage.store import Store
from harness.training.task import Cost, Task, Update
from tests.conftest import CellMaker

Make = Callable[..., Progress]


@pytest.fixture
def clock_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the progress, which a test can set."""
    now = [0.0]
    monkeypatch.setattr("harness.monitoring.progress.time.monotonic", lambda: now[-1])
    return now


@pytest.fixture
def make(cell: CellMaker, clock_time: list[float]) -> Make:
    """Three cells of 100 steps in two concurrent tasks; a step was measured as 0.1 s."""

    def progress(
        terminal: bool = False, store: Store | None = None, jupyter: bool = False
    ) -> Progress:
        packs = [(cell("vae", 0, 100), cell("vae", 1, 100)), (cell("gmvae", 0, 100),)]
        costs = {pack[0].pack_key: Cost(0.0, 0.1) for pack in packs}
        console = Console(
            file=io.StringIO(),
            force_terminal=terminal,
            force_jupyter=jupyter,
            width=100,
            color_system=None,
        )
        tasks = [Task(pack, "r", grid="g", run="now") for pack in packs]
        state = RunState(tasks, costs, 2, grid_cells=5, already_done=2)
        return Progress(state, console, store)

    return progress


def written(progress: Progress) -> str:
    assert isinstance(progress.console.file, io.StringIO)
    return progress.console.file.getvalue()


def test_time_left_follows_the_steps_that_are_left_at_the_speed_seen(make: Make) -> None:
    progress = make()
    assert progress.state.seconds_left == pytest.approx((200 + 100) * 0.1 / 2)
    progress.on_update(0, Update(steps=100, step_seconds=0.2))
    assert progress.state.seconds_left == pytest.approx((100 * 0.2 + 100 * 0.1) / 2)
    progress.on_update(1, Update(steps=100, ended={progress.state.tasks[1].cells[0].id: "ok"}))
    assert progress.state.seconds_left == pytest.approx(100 * 0.2 / 2)


def test_compiling_counts_in_the_time_left_until_the_first_step(make: Make) -> None:
    progress = make()
    state = RunState(
        progress.state.tasks,
        {task.cells[0].pack_key: Cost(0.0, 0.1) for task in progress.state.tasks},
        slots=2,
        compile_seconds=[20.0, 0.0],
    )
    assert state.seconds_left == pytest.approx((20.0 + (200 + 100) * 0.1) / 2)
    state.record(0, Update(stage="compiling"))
    assert state.seconds_left == pytest.approx((20.0 + (200 + 100) * 0.1) / 2)
    state.record(0, Update(steps=100, step_seconds=0.1))
    assert state.seconds_left == pytest.approx((100 + 100) * 0.1 / 2)


def test_scoring_counts_in_the_time_left_and_is_shown(make: Make, clock_time: list[float]) -> None:
    """Of two trained cells, one is scored in 8 s and the other is half scored."""
    progress = make()
    progress.state.score_seconds = [5.0, 0.0]
    progress.state.remaining_work += 2 * 5.0
    stage = "scoring, 3 of 5: pictures"
    progress.on_update(0, Update(steps=200, stage=stage, scored=1.5, score_seconds=8.0))
    assert progress.state.seconds_left == pytest.approx((0.5 * 8.0 + 100 * 0.1) / 2)
    (pack,) = progress.state.snapshot().packs
    assert pack.stage == stage
    clock_time.append(LINE_SECONDS + 1)
    progress.on_update(0, Update(steps=200, stage=stage, scored=1.5, score_seconds=8.0))
    assert written(progress).rstrip().endswith(f"| vae seed=0 and 1 more: {stage}")


def test_the_summary_counts_done_running_and_failed(make: Make, clock_time: list[float]) -> None:
    progress = make()
    first, second = (cell.id for cell in progress.state.tasks[0].cells)
    progress.on_update(0, Update(steps=150, step_seconds=0.05, ended={first: "diverged"}))
    clock_time.append(61.0)
    assert progress.summary().startswith(
        "[1 min 01 s] 0/3 cells done, 1 running, 1 failed, 20 steps/s, "
    )
    progress.on_update(
        0, Update(steps=200, step_seconds=0.05, ended={first: "diverged", second: "ok"})
    )
    assert "1/3 cells done, 0 running, 1 failed, 0 steps/s" in progress.summary()


def test_a_task_that_waits_for_another_process_does_not_run(make: Make) -> None:
    """Its finished work still counts, and it runs again after the next update."""
    progress = make()
    progress.on_update(0, Update(steps=100, step_seconds=0.2))
    progress.on_update(0, Update(steps=100, step_seconds=0.2, waits=True))
    found = progress.state.snapshot()
    assert (found.running, found.speed, found.packs) == (0, 0.0, ())
    assert progress.state.seconds_left == pytest.approx((100 * 0.2 + 100 * 0.1) / 2)
    progress.on_update(0, Update(steps=120, step_seconds=0.2))
    assert progress.state.snapshot().running == 1


def test_piped_it_is_a_line_for_every_end_and_now_and_then_a_standing(
    make: Make, clock_time: list[float]
) -> None:
    progress = make()
    with progress:
        progress.on_update(0, Update(steps=20, step_seconds=0.1, nelbo=201.5))
        clock_time.append(LINE_SECONDS + 1)
        progress.on_update(0, Update(steps=40, step_seconds=0.1, nelbo=180.25))
        progress.on_update(0, Update(steps=60, step_seconds=0.1, nelbo=170.0))
        progress.on_update(1, Update(steps=100, ended={progress.state.tasks[1].cells[0].id: "ok"}))
    lines = written(progress).splitlines()
    assert len(lines) == 3
    assert "vae seed=0 and 1 more at step 20, NELBO 180.25" in lines[1]
    assert lines[2].endswith("| gmvae seed=0: ok")
    assert "\x1b" not in written(progress)


def test_on_a_terminal_it_is_a_table_of_what_runs(make: Make) -> None:
    progress = make(terminal=True)
    with progress:
        progress.on_update(0, Update(steps=100, step_seconds=0.05, nelbo=150.0))
        progress.on_update(1, Update(steps=100, ended={progress.state.tasks[1].cells[0].id: "ok"}))
        progress.live.refresh() if progress.live else pytest.fail("no live table on a terminal")
    page = written(progress)
    assert any(
        line.split() == ["running", "step", "steps/s", "NELBO"] for line in page.splitlines()
    )
    for part in ("1/3 cells done", "vae seed=0 and 1 more", "50/100", "150.00", "steps/s", "NELBO"):
        assert part in page
    assert "gmvae seed=0" not in page  # it has ended


def ended_with(progress: Progress, error: BaseException | None) -> None:
    with contextlib.suppress(BaseException), progress:
        first, second = (cell.id for cell in progress.state.tasks[0].cells)
        progress.on_update(0, Update(steps=200, ended={first: "failed", second: "ok"}))
        progress.on_update(1, Update(steps=20, step_seconds=0.1, nelbo=99.5))
        if error:
            raise error


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (None, "done"),
        (KeyboardInterrupt(), "interrupted"),
        (StalledError("nothing moved"), "nothing moved"),
    ],
)
def test_the_store_learns_how_a_run_stands_and_how_it_ended(
    error: BaseException | None, end: str, make: Make, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    ended_with(make(store=store), error)
    (found,) = run_status.read(store)
    assert (found.run, found.grid, found.end) == ("now", "g", end)
    assert (found.asked, found.before, found.cells, found.ended) == (
        5,
        2,
        3,
        {"failed": 1, "ok": 1},
    )
    assert [(pack.name, pack.step, pack.total, pack.nelbo) for pack in found.packs] == [
        ("gmvae seed=0", 20, 100, 99.5)
    ]
    assert [failure.name for failure in found.failures] == ["vae seed=0"]


def test_a_standing_is_written_while_the_run_goes_on(make: Make, tmp_path: Path) -> None:
    store = Store(tmp_path)
    with make(store=store) as progress:
        progress.on_update(1, Update(steps=20))
        while not any(found.packs for found in run_status.read(store)):
            time.sleep(0.01)
        (found,) = run_status.active_runs(store)
        assert found.running == 1


def test_a_store_that_takes_no_standing_ends_no_run(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "progress").write_text("a file where a folder should be")
    progress = make(store=Store(tmp_path))
    ended_with(progress, None)
    assert len(progress.state.ended) == 2
    assert capsys.readouterr().err.count("the progress cannot be written") == 1


# --- in a notebook --------------------------------------------------------------------------------


def test_a_notebook_shows_one_page_that_is_replaced(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "IPython.display.DisplayHandle.display",
        lambda self, page, raw: shown.append((self.display_id, page["text/plain"])),
    )
    monkeypatch.setattr(
        "IPython.display.DisplayHandle.update",
        lambda self, page, raw: shown.append((self.display_id, page["text/html"])),
    )
    progress = make(jupyter=True)
    assert progress.page is not None
    first = progress.state.tasks[0].cells[0].id
    with progress:
        progress.on_update(0, Update(steps=100, ended={first: "ok"}))
        progress.page.last_shown = -10.0
        progress.on_update(0, Update(steps=100, ended={first: "ok"}))
    assert written(progress) == ""
    assert len({display for display, _ in shown}) == 1
    assert ["0/3 cells done" in page for _, page in shown] == [True, False, False]
    assert shown[1][1].startswith("<pre ")
    assert "1/3 cells done" in shown[2][1]


def test_a_silent_console_shows_nothing_and_takes_nothing_from_others(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(make().state, make_silent_console())
    with progress:
        progress.on_update(0, Update(steps=100))
        print("mine")
    assert capsys.readouterr().out == "mine\n"
