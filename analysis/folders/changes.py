"""What a command does to a results folder: a plan, and the order that loses nothing.

An interrupted command is completed by the same command: rows are changed last.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import StorageError
from harness.storage.artifacts import ArmName
from harness.storage.layout import folder_of
from harness.storage.schema import Row
from harness.storage.store import Store

PAST = {"copy": "copied", "remove": "removed", "write": "wrote"}


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
    removals: size in bytes by key
    names: all names of arms; None leaves them as they are
    details: further lines on what is changed
    """

    store: Store
    copies: Sequence[Copy] = ()
    removals: Mapping[str, int] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    removed_rows: Sequence[str] = ()
    names: Sequence[ArmName] | None = None
    details: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is changed."""
        changed = (self.copies, self.removals, self.rows, self.removed_rows)
        return not any(changed) and self.names is None

    def apply(self) -> None:
        """Make the changes: files, then names, then rows."""
        for key in self.removals:
            self.store.remove(key)
        for copy in self.copies:
            content = copy.source.read(copy.key)
            if content is None:
                raise StorageError(copy.source.name, f"{copy.key} is no longer there")
            self.store.write(copy.key, content)
        if self.names is not None:
            self.store.write_arm_names(self.names)
        if self.rows or self.removed_rows:
            self.store.update_rows(self.rows, self.removed_rows)

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
        for line in count_files(self.removals):
            yield f"{verb('remove')} {line} of {self.store.name}"
        if self.removed_rows:
            yield f"{verb('remove')} {len(self.removed_rows):,} rows of {self.store.name}"
        if self.rows:
            yield f"{verb('write')} {len(self.rows):,} rows into {self.store.name}"
        if self.names is not None:
            count = len(self.names)
            yield f"{verb('write')} names of arms, {count:,} in all, into {self.store.name}"
        if self.is_empty:
            yield f"nothing to change in {self.store.name}"


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
