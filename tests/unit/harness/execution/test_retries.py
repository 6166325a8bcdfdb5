"""After a process died, its unfinished cells are retried, in halves until the cause is alone."""

from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.execution.retries import DEATHS_BEFORE_HALVING, MAX_RETRIES, RetryQueue
from harness.experiment.cell import Cell
from harness.storage import layout
from harness.storage.local import Folder
from harness.storage.store import TABLE, Store
from harness.training import rows
from harness.training.task import Task, Update
from tests.conftest import CellMaker


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def cells(cell: CellMaker) -> list[Cell]:
    return [cell("vae", seed, 100) for seed in range(6)]


def tries(store: Store, *packs: list[Cell]) -> RetryQueue:
    return RetryQueue([Task(tuple(pack), str(store.root), run="r") for pack in packs], store)


def finish(store: Store, cell: Cell, run: str = "r") -> None:
    rows.write_row(store, Task((cell,), str(store.root), run=run), cell, "ok", {})


def started(of: RetryQueue) -> tuple[int, tuple[Cell, ...]]:
    """The number and the cells of the next unit."""
    number = of.next()
    assert number is not None
    return number, of.make_task(number).cells


def test_tasks_are_handed_out_in_their_order_and_what_died_before_what_waits(
    store: Store, cells: list[Cell]
) -> None:
    of = tries(store, cells[:1], cells[1:2], cells[2:3])
    first, _ = started(of)
    assert started(of)[1] == (cells[1],)
    of.on_process_death(first, "")
    assert [started(of)[1] for _ in range(2)] == [(cells[0],), (cells[2],)]
    assert of.next() is None
    assert not of.done


def test_a_cell_alone_fails_after_its_tries_with_a_row_and_the_last_words(
    store: Store, cells: list[Cell]
) -> None:
    of = tries(store, cells[:1])
    for _ in range(MAX_RETRIES + 1):
        update = of.on_process_death(started(of)[0], "Ray saw a signal")
    assert of.done
    assert update.ended == {cells[0].id: "failed"}
    assert (store.row(cells[0].id) or {})[
        "error"
    ] == f"its process died {MAX_RETRIES + 1} times with nothing saved"
    assert b"Ray saw a signal" in (store.read(layout.log_key(cells[0].id)) or b"")


@pytest.mark.parametrize(
    "progress", [Update(steps=50, saved=1), Update(steps=1)], ids=["a checkpoint", "nothing"]
)
def test_a_try_that_saved_something_is_no_failure(
    progress: Update, store: Store, cells: list[Cell]
) -> None:
    """Spot machines, for example, are taken away again and again."""
    of = tries(store, cells[:1])
    for _ in range(3 * MAX_RETRIES):
        number = of.next()
        if number is not None:
            of.update(number, progress)
            of.on_process_death(number, "")
    assert of.done == (not progress.saved)


def test_storage_that_fails_a_process_is_no_cells_fault_and_ends_the_run_at_last(
    store: Store, cells: list[Cell]
) -> None:
    """The pack is not halved, no cell gets a row, and the storage error is raised."""
    of, failure = tries(store, cells[:2]), StorageError("s3://bench/x", "HTTP status 500")
    for _ in range(MAX_RETRIES):
        number, part = started(of)
        assert part == tuple(cells[:2])
        of.on_storage_error(number, failure)
    with pytest.raises(StorageError, match="HTTP status 500"):
        of.on_storage_error(started(of)[0], failure)
    assert store.rows() == {}


def test_storage_that_fails_now_and_then_does_not_end_a_run_that_gets_on(
    store: Store, cells: list[Cell]
) -> None:
    of = tries(store, cells[:1])
    for _ in range(3 * MAX_RETRIES):
        number, _ = started(of)
        of.update(number, Update(steps=50, saved=1))
        of.on_storage_error(number, StorageError("s3://bench/x", "HTTP status 500"))
    assert started(of)[1] == (cells[0],)


def test_a_pack_is_halved_until_the_cell_at_fault_fails_alone(
    store: Store, cells: list[Cell]
) -> None:
    """Every unit with the third of six cells dies; the others finish once."""
    of, deaths = tries(store, cells), 0
    ended: list[Cell] = []
    while not of.done:
        number, part = started(of)
        if cells[2] in part:
            deaths += 1
            of.on_process_death(number, "")
        else:
            for one in part:
                finish(store, one)
            ended += part
            of.finish(number)
    assert sorted(one.seed for one in ended) == [0, 1, 3, 4, 5]
    assert {name: row["status"] for name, row in store.rows().items()} == {
        one.id: "failed" if one.seed == 2 else "ok" for one in cells
    }
    assert deaths == DEATHS_BEFORE_HALVING * 3 + MAX_RETRIES + 1  # packs of six, three and two


def test_cells_that_have_ended_are_not_tried_again(store: Store, cells: list[Cell]) -> None:
    """A row of an earlier run does not count."""
    of = tries(store, cells[:3])
    number, _ = started(of)
    finish(store, cells[0])
    finish(store, cells[1], run="before")
    assert of.on_process_death(number, "").ended == {cells[0].id: "ok"}
    assert started(of)[1] == (cells[1], cells[2])


def test_a_task_waits_while_none_of_its_parts_runs(store: Store, cells: list[Cell]) -> None:
    """After two deaths, one half of a pack starts and the other waits."""
    of = tries(store, cells[:4])
    assert of.on_process_death(started(of)[0], "").waits
    number, _ = started(of)
    assert not of.update(number, Update(steps=10)).waits
    assert of.on_process_death(number, "").waits
    (half, _), (other, _) = started(of), started(of)
    assert not of.update(half, Update(steps=10)).waits
    assert not of.on_process_death(other, "").waits


def test_parts_are_told_as_their_whole_task(store: Store, cells: list[Cell]) -> None:
    """Updates of the units of a divided pack are summed for its task."""
    of = tries(store, cells[:4])
    number, _ = started(of)
    of.update(number, Update(steps=200))
    finish(store, cells[0])
    assert of.on_process_death(number, "").steps == 100
    assert of.on_process_death(started(of)[0], "").ended == {cells[0].id: "ok"}
    (alone, _), (pair, part) = started(of), started(of)
    assert len(part) == 2
    of.update(alone, Update(steps=30))
    whole = of.update(pair, Update(steps=50, nelbo=1.5, ended={part[0].id: "ok"}))
    assert (whole.steps, whole.nelbo) == (100 + 30 + 50, 1.5)
    assert whole.ended == {cells[0].id: "ok", part[0].id: "ok"}


def test_a_death_reads_one_row_a_cell_and_the_table_once(
    store: Store, cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in cells:
        finish(store, one, run="before")
    store.compact()
    reads: list[str] = []
    read = Folder.read

    def counted(self: Folder, key: str) -> bytes | None:
        reads.append(key)
        return read(self, key)

    monkeypatch.setattr(Folder, "read", counted)
    of = tries(store, cells)
    for _ in range(DEATHS_BEFORE_HALVING):
        of.on_process_death(started(of)[0], "")
    rows_read = [key for key in reads if key != TABLE]
    assert sorted(rows_read) == sorted([f"rows/{one.id}.json" for one in cells] * 2)
    assert reads.count(TABLE) == 1
