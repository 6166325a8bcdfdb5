"""Random sequences of writes, crashes, damage, copies and compactions lose no row.

A model runs beside the store: the number of the last complete row in each row file, None for a
corrupt one, and in the table.
"""

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from harness.storage import schema
from harness.storage.local import Folder
from harness.storage.store import TABLE, Store
from tests.conftest import bucket

CELLS = st.sampled_from("abcdef")
WHO = st.integers(0, 1)


class Killed(BaseException):
    """The writer is killed."""


def die(*_: object) -> None:
    """Simulate a kill at this point."""
    raise Killed


def row(cell: str, number: int) -> dict[str, Any]:
    """The row with a number; every field contains the number."""
    values = {"cell": cell, "seed": number, "error": "x" * number, "finished": f"{number:06}"}
    return schema.make_row({"model": "vae", "status": "ok", **values})


class Attack(RuleBasedStateMachine):
    """Two stores at one address, and a third address to copy from."""

    new: Callable[[], str]

    @initialize()
    def open(self) -> None:
        here, there = type(self).new(), type(self).new()
        self.stores, self.other = [Store(here), Store(here)], Store(there)
        self.number = 0
        self.fragments: dict[str, int | None] = {}
        self.table: dict[str, int] = {}

    def next(self) -> int:
        self.number += 1
        return self.number

    @rule(cell=CELLS, who=WHO)
    def write(self, cell: str, who: int) -> None:
        self.fragments[cell] = self.next()
        self.stores[who].write_row(row(cell, self.number))

    @rule(
        cell=CELLS,
        who=WHO,
        stage=st.sampled_from(["os.fsync", "pathlib.Path.replace", "put", "SIGKILL"]),
    )
    def crash(self, cell: str, who: int, stage: str) -> None:
        """A writer is killed before its file is renamed; half a temporary file remains."""
        store, content = self.stores[who], json.dumps(row(cell, self.next())).encode()
        with pytest.MonkeyPatch.context() as patch, suppress(Killed):
            if not isinstance(store.backend, Folder):
                patch.setattr(store.backend, "_retry", die)
            elif stage in ("put", "SIGKILL"):
                store.write(f"rows/.{cell}.json.{self.number:032x}", content[:40])
                return
            else:
                patch.setattr(stage, die)
            store.write(f"rows/{cell}.json", content)

    @rule(cell=CELLS, who=WHO, left=st.integers(0, 60))
    def tear(self, cell: str, who: int, left: int) -> None:
        content = self.stores[who].read(f"rows/{cell}.json")
        if content is not None:
            self.stores[who].write(f"rows/{cell}.json", content[:left])
            self.fragments[cell] = None

    @rule(who=WHO)
    def compact(self, who: int) -> None:
        self.table = self.expected()
        self.stores[who].compact()

    @rule(who=WHO)
    def compact_and_die(self, who: int) -> None:
        with pytest.MonkeyPatch.context() as patch, suppress(Killed):
            patch.setattr(self.stores[who].backend, "write", die)
            self.stores[who].compact()

    @rule(who=WHO)
    def set_aside(self, who: int) -> None:
        """Corrupt files are in damaged/ afterwards and no longer in rows/."""
        torn = {
            cell: self.stores[0].read(f"rows/{cell}.json")
            for cell, held in self.fragments.items()
            if held is None
        }
        self.stores[who].quarantine(self.stores[who].scan().corrupt)
        kept = self.stores[who].backend.read_all(self.stores[who].keys("damaged", ".json")).values()
        assert set(torn.values()) <= set(kept)
        for cell in torn:
            del self.fragments[cell]

    @rule(cell=CELLS, who=WHO)
    def merge_a_fragment(self, cell: str, who: int) -> None:
        self.fragments[cell] = self.next()
        self.other.write_row(row(cell, self.number))
        self.stores[who].write(f"rows/{cell}.json", self.other.read(f"rows/{cell}.json") or b"")

    @rule(who=WHO, cells=st.sets(CELLS))
    def merge_a_table(self, who: int, cells: set[str]) -> None:
        """A table with at least the rows of ours, and later ones."""
        for cell in cells | set(self.table):
            self.table[cell] = self.next()
            self.other.write_row(row(cell, self.number))
        for cell in set(self.other.rows()) - set(self.table):
            self.other.remove(f"rows/{cell}.json")
        self.other.remove(TABLE)
        self.other.compact()
        self.stores[who].write(TABLE, self.other.read(TABLE) or b"")

    def expected(self) -> dict[str, int]:
        whole = {cell: number for cell, number in self.fragments.items() if number is not None}
        return {
            cell: max(whole.get(cell, 0), self.table.get(cell, 0)) for cell in whole | self.table
        }

    @invariant()
    def nothing_is_lost_doubled_or_torn(self) -> None:
        for store in self.stores:
            found = store.scan()
            assert dict(found.rows) == {
                cell: row(cell, number) for cell, number in self.expected().items()
            }
            assert set(found.corrupt) == {
                f"rows/{cell}.json" for cell, held in self.fragments.items() if held is None
            }


def attack(new: Callable[[], str], examples: int, steps: int) -> None:
    machine = type("Attack", (Attack,), {"new": staticmethod(new)})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


def test_a_folder_under_attack_keeps_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row files in the table are skipped at once, and not only after a minute."""
    monkeypatch.setattr("harness.storage.table.SETTLED_NS", 0)
    with tempfile.TemporaryDirectory() as root:
        attack(lambda: tempfile.mkdtemp(dir=root), examples=30, steps=20)


def test_a_bucket_under_attack_keeps_every_row(s3: str) -> None:
    attack(lambda: bucket(s3), examples=6, steps=12)
