"""The status of runs: text, exit codes and failures by cell."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from harness import bench
from harness.cli import status
from harness.monitoring import run_status
from harness.monitoring.run_status import Failure, PackProgress, RunStatus
from harness.storage.store import Store
from tests.conftest import CellMaker

RUNS = RunStatus(
    run="2026-01-02T000000-aaaaaa",
    grid="quick",
    host="here",
    asked=10,
    before=2,
    cells=8,
    ended={"ok": 3},
    running=2,
    speed=50.0,
    packs=(
        PackProgress("vae seed=0 and 1 more", 50, 100, 25.0, 150.5),
        PackProgress("gmvae seed=0", 10, 100, 25.0),
    ),
    elapsed=1800.0,
    left=120.0,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


Tell = Callable[[RunStatus], tuple[int, str]]


@pytest.fixture
def tell(store: Store) -> Tell:
    """The exit code and the text of `--status` for a run with this status."""

    def told(one: RunStatus) -> tuple[int, str]:
        run_status.write(
            store, one if one.written else replace(one, written=datetime.now(UTC).isoformat())
        )
        page = Console(file=io.StringIO(), width=120, color_system=None)
        code = status.show(store, page)
        assert isinstance(page.file, io.StringIO)
        return code, page.file.getvalue()

    return told


def test_a_run_that_goes_well_is_shown_with_what_trains_and_its_pace(tell: Tell) -> None:
    code, output = tell(RUNS)
    assert code == 0
    for part in (
        "running on here",
        "3/8 cells done",
        "6 cells/h",
        "2 min 00 s left",
        "50/100",
        "150.50",
        "5 of 10 cells",
    ):
        assert part in output


def test_a_run_that_failed_somewhere_names_the_cells_and_their_reasons(
    tell: Tell, store: Store, cell: CellMaker
) -> None:
    from harness.training import rows
    from harness.training.task import Task

    one = cell("vae")
    rows.write_row(
        store, Task((one,), str(store.root)), one, "failed", {"error": "RuntimeError: boom\nmore"}
    )
    code, output = tell(
        replace(
            RUNS, ended={"ok": 3, "failed": 1}, failures=(Failure(one.id, "vae seed=0", "failed"),)
        )
    )
    assert code == 1
    assert "failed: vae seed=0: RuntimeError: boom\n" in output
    assert f"--log {one.id}" in output


@pytest.mark.parametrize(
    ("ended", "end", "code", "word"),
    [
        (8, "done", 0, "ended"),
        (7, "done", 1, "ended"),
        (8, "interrupted", 0, "ended: interrupted"),
        (3, "interrupted", 1, "ended: interrupted"),
        (3, "nothing moved for 30 min", 1, "ended: nothing moved"),
    ],
)
def test_a_run_that_has_ended_is_well_if_the_grid_is_complete(
    ended: int, end: str, code: int, word: str, tell: Tell
) -> None:
    found, output = tell(replace(RUNS, ended={"ok": ended}, running=0, packs=(), end=end))
    assert found == code
    assert word in output
    assert "left" not in output


def test_a_run_whose_driver_is_gone_is_silent_and_says_how_to_go_on(tell: Tell) -> None:
    before = (datetime.now(UTC) - timedelta(minutes=12)).isoformat()
    code, output = tell(replace(RUNS, written=before))
    assert code == 1
    assert "silent for 12 min" in output
    assert "the same command goes on" in output


def test_the_newest_run_is_shown_and_earlier_ones_have_a_line(tell: Tell) -> None:
    tell(replace(RUNS, run="2026-01-01T000000-bbbbbb", end="done"))
    _, output = tell(RUNS)
    assert output.splitlines()[0].startswith("2026-01-01T000000-bbbbbb: ended, 3/8 cells done")
    assert output.splitlines()[1].startswith("2026-01-02T000000-aaaaaa: running")


def test_as_json_every_run_has_its_fields_its_state_and_reasons(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).isoformat()
    failed = replace(RUNS, written=now, failures=(Failure("c1", "vae seed=1", "failed"),))
    run_status.write(store, replace(failed, ended={"ok": 2, "failed": 1}, end="done"))
    assert bench.main(["--status", str(store.root), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert (found["run"], found["state"], found["healthy"]) == (RUNS.run, "ended", False)
    assert (found["done"], found["failed"], found["left"]) == (2, 1, 120.0)
    assert found["failures"][0]["name"] == "vae seed=1"
    assert isinstance(found["failures"][0]["reason"], str)
    assert found["packs"][0] == {
        "name": "vae seed=0 and 1 more",
        "step": 50,
        "total": 100,
        "speed": 25.0,
        "nelbo": 150.5,
        "stage": "",
    }


def test_json_without_something_to_print_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["quick", "--json"]) == 2
    assert capsys.readouterr().err == (
        "error: --json is for --dry-run and --status; expected one of them\n"
    )


def test_following_ends_with_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run_status.write(store, replace(RUNS, written=datetime.now(UTC).isoformat()))
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            run_status.write(store, replace(RUNS, ended={"ok": 8}, running=0, end="done"))

    monkeypatch.setattr("harness.cli.status.time.sleep", wait)
    page = Console(file=io.StringIO(), width=120)
    assert status.follow(store, page) == 0
    assert len(waits) == 3


def test_a_log_is_found_by_id_by_its_beginning_and_by_name(
    store: Store, tell: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    store.write("logs/abc123.txt", b"Traceback: [red]boom")
    store.write("logs/abd999.txt", b"another")
    tell(replace(RUNS, failures=(Failure("abc123", "vae seed=0", "failed"),)))
    for name in ("abc123", "abc", "vae seed=0"):
        assert bench.main(["--log", name, "--results", str(store.root)]) == 0
        assert capsys.readouterr().out == "Traceback: [red]boom\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--log", "ab"], "2 failed cells have the name 'ab'"),
        (["--log", "x"], "no failed cell has the name 'x'"),
    ],
)
def test_a_log_that_is_not_told_apart_is_refused_with_a_list(
    flags: list[str], message: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("abc123", "abd999"):
        store.write(f"logs/{name}.txt", b"")
    assert bench.main([*flags, "--status", str(store.root)]) == 2
    output = capsys.readouterr().err
    assert message in output
    assert "abc123, abd999" in output


@pytest.mark.parametrize(
    "flags", [["--status", "nowhere"], ["--log", "abc"], ["--status", "nowhere", "--follow"]]
)
def test_what_cannot_be_told_is_one_line_and_exit_2(
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench.main(flags) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_standing_stops_nobody(store: Store, tell: Tell) -> None:
    store.write("progress/2025.json", b'{"run": ')
    assert tell(RUNS)[0] == 0
