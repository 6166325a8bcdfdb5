"""What a command does to a results folder: a plan, and the order that loses nothing.

One write of the table changes all rows. What is added is there before it, and what is removed goes
after it, so a command that is killed leaves the rows of before or of after, with their files.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from analysis.folders.contents import list_keys
from analysis.folders.new_folder import fill_folder
from harness.errors import InputError, StorageError
from harness.storage.artifacts import ArmName
from harness.storage.layout import ARM_NAMES, TABLE, folder_of, row_key
from harness.storage.schema import Row
from harness.storage.store import Store

PAST = {"complete": "completed", "copy": "copied", "remove": "removed", "write": "wrote"}


@dataclass(frozen=True)
class Copy:
    """A file of another folder, under the same key; `size` in bytes."""

    source: Store
    key: str
    size: int


@dataclass(frozen=True)
class Changes:
    """The changes of one folder.

    rows: to set, as stored; removed_rows: ids of cells
    removals: files to remove once the rows are changed, size in bytes by key
    replaced: files of rows that are replaced, to remove before: the copies take their place
    interrupted: cells whose change was interrupted, and is completed
    unfinished: folders that killed commands left beside this one, to remove
    names: all names of arms; None leaves them as they are
    details: further lines on what is changed
    """

    store: Store
    copies: Sequence[Copy] = ()
    removals: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    removed_rows: Sequence[str] = ()
    interrupted: Sequence[str] = ()
    unfinished: Sequence[Path] = ()
    names: Sequence[ArmName] | None = None
    details: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is changed."""
        files = (self.copies, self.removals, self.replaced, self.unfinished)
        rows = (self.rows, self.removed_rows, self.interrupted)
        return not any(files) and not any(rows) and self.names is None

    def apply(self) -> None:
        """Make the changes: copies, then rows and removals, then names."""
        if not self.is_empty:
            with self.open() as store:
                self.apply_to(store)

    @contextmanager
    def open(self) -> Iterator[Store]:
        """The store to make the changes in, whose contents are those of the folder at the end."""
        for path in self.unfinished:
            shutil.rmtree(path, ignore_errors=True)
        with fill_folder(self.store) as store:
            yield store

    def apply_to(self, store: Store) -> None:
        """Make the changes in `store`, the folder or its copy."""
        for key in self.replaced:
            store.remove(key)
        for copy in self.copies:
            content = copy.source.read(copy.key)
            if content is None:
                raise StorageError(copy.source.name, f"{copy.key} is no longer there")
            store.write(copy.key, content)
        if self.rows or self.removed_rows or self.interrupted:
            store.update_rows(self.rows, self.removed_rows, self.removals)
        else:
            for key in self.removals:
                store.remove(key)
        if self.names is not None:
            store.write_arm_names(self.names)

    def describe(self, is_dry: bool) -> Iterator[str]:
        """What is changed, a line a kind of file: what would be, or what was."""

        def verb(name: str) -> str:
            return f"would {name}" if is_dry else PAST[name]

        yield from self.details
        sources = {copy.source.name for copy in self.copies}
        for source in sorted(sources):
            sizes = {copy.key: copy.size for copy in self.copies if copy.source.name == source}
            for line in count_files(sizes):
                yield f"{verb('copy')} {line} from {source}"
        for line in count_files({**self.replaced, **self.removals}):
            yield f"{verb('remove')} {line} of {self.store.name}"
        for path in self.unfinished:
            yield f"{verb('remove')} {path}, which an interrupted command left"
        if self.interrupted:
            count = len(self.interrupted)
            yield f"{verb('complete')} an interrupted change of {count:,} cells"
        elif self.removed_rows:
            yield f"{verb('remove')} {len(self.removed_rows):,} rows of {self.store.name}"
        if self.rows:
            yield f"{verb('write')} {len(self.rows):,} rows into {self.store.name}"
        if self.names is not None:
            count = len(self.names)
            yield f"{verb('write')} names of arms, {count:,} in all, into {self.store.name}"
        if self.is_empty:
            yield f"nothing to change in {self.store.name}"


def check_unfilled(changes: Changes, flag: str, expected: str) -> None:
    """Check that a new folder holds nothing else than what an interrupted command left of the same
    changes; InputError if it does.
    """
    store = changes.store
    copies = {copy.key: copy for copy in changes.copies}
    rows = {row["cell"]: row for row in changes.rows}
    known = {TABLE, *map(row_key, rows), *copies, *([ARM_NAMES] if changes.names else [])}
    keys = list_keys(store)
    present = store.rows() if keys <= known else {}
    if (
        keys <= known
        and all(rows.get(cell) == row for cell, row in present.items())
        and all(store.read(k) == copies[k].source.read(k) for k in keys & copies.keys())
    ):
        return
    raise InputError(f"{flag} {store.name!r} holds results already; expected {expected}")


def count_files(sizes: Mapping[str, int]) -> list[str]:
    """Number and bytes of files by their folder.

    >>> count_files({"curves/a.parquet": 1000, "curves/b.parquet": 500})
    ['2 files of curves (1,500 bytes)']
    """
    numbers, totals = Counter(map(folder_of, sizes)), Counter[str]()
    for key, size in sizes.items():
        totals[folder_of(key)] += size
    return [
        f"{number:,} file{'s' * (number > 1)} of {name} ({totals[name]:,} bytes)"
        for name, number in sorted(numbers.items())
    ]
