"""The store under several processes and with many cells."""

import json
import subprocess
import sys

import pytest

from harness.storage.local import Folder
from harness.storage.store import Store
from tests.unit.harness.storage.test_store import WRITER, row, table, watched
from tests.unit.harness.storage.test_store import folder as folder


@pytest.mark.slow
def test_thousands_of_cells_are_read_once_to_compact_them(
    folder: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth failed and one file is corrupt; none is read twice."""
    for number in range(3000):
        status = "failed" if number % 10 == 0 else "ok"
        text = json.dumps(row(f"{number:05}", seed=number, status=status))
        path = folder.path(f"rows/{number:05}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if number else text[:50], encoding="utf-8")
    read = watched(folder, monkeypatch)
    folder.compact()
    keys = [key for part in read for key in part]
    assert len(keys) == len(set(keys)) == 3000
    assert table(folder)["status"].value_counts().to_pylist() == [
        {"values": "ok", "counts": 2700},
        {"values": "failed", "counts": 299},
    ]
    assert list(folder.scan().corrupt) == ["rows/00000.json"]


def test_two_writing_processes_lose_nothing(store: Store) -> None:
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen([*command, name, store.address], stderr=subprocess.PIPE) for name in "xy"
    ]
    while any(writer.poll() is None for writer in writers):
        shared = store.rows().get("shared")
        assert shared is None or len(shared["error"]) == 9000
    output = "".join(writer.communicate()[1].decode() for writer in writers)
    assert [writer.returncode for writer in writers] == [0, 0], output
    if isinstance(store.backend, Folder):
        assert output == ""
    # moto answers 500 where a second put replaces the object of one not yet answered; it is asked
    # again
    else:
        assert [line for line in output.splitlines() if "; retrying in " not in line] == []
    store.compact()
    expected = {"shared"} | {f"{name}{n}" for name in "xy" for n in range(30)}
    assert set(store.rows()) == set(table(store)["cell"].to_pylist()) == expected
    assert (store.row("shared") or {})["seed"] == 29
    if isinstance(store.backend, Folder):
        assert [path.name for path in store.root.rglob(".*")] == []
