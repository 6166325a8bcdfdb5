"""The results of a grid at one address: rows, the compacted table, and artifacts.

The row files are the source of truth and are never removed while they can be read. The table
`results.parquet` can be built again from them. It is also enough alone: cells in a copied table
count as done. Several runs may share a store, because every write is atomic. `layout` says where
each file lies.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from harness.errors import InputError, StorageError
from harness.storage import layout, schema
from harness.storage.artifacts import Artifacts
from harness.storage.backend import StorageBackend
from harness.storage.layout import TABLE as TABLE
from harness.storage.layout import PictureKind as PictureKind
from harness.storage.layout import name_of, row_key
from harness.storage.local import Folder
from harness.storage.object_store import ADDRESS_OPTIONS, Bucket
from harness.storage.rows import PARSE_ERRORS, parse_row, parse_rows
from harness.storage.rows import Contents as Contents
from harness.storage.table import CorruptTableError, Table, TableFile

ROWS_AT_ONCE = 1_000  # row files read and checked together


class Store(Artifacts):
    """Results at an address: a folder, s3://BUCKET/PATH or gs://BUCKET/PATH.

    Opening a store creates nothing and sends no request.
    """

    def __init__(self, address: str | Path):
        super().__init__(make_backend(address))
        self.table = TableFile(self.backend)

    def prepare(self) -> None:
        """Check that the address can be written to; InputError if not."""
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.backend.write(probe, b"")
            self.backend.remove(probe)
        except StorageError as error:
            is_folder = isinstance(self.backend, Folder)
            expected = "a writable folder" if is_folder else "a bucket that is there and writable"
            raise InputError(
                f"results {self.name!r} cannot be written: {error.reason}; expected {expected}"
            ) from None

    def check_reachable(self) -> None:
        """Check within seconds that the address can be read; InputError if not."""
        self.backend.check_reachable()

    def write_row(self, values: Mapping[str, Any]) -> None:
        """Write the row of a cell, checked against the schema; it replaces an older one."""
        row = schema.make_row(values)
        self.write(row_key(row["cell"]), json.dumps(row, indent=1).encode())

    def row(self, cell: str) -> schema.Row | None:
        """The row of one cell, None if there is none that can be read."""
        table, key = self.table.read_cached(), row_key(cell)
        rows, _ = self._read_rows({key} - self._find_stale([key], table))
        candidates = [*rows, *filter(None, [table.rows.get(cell)])]
        return max(candidates, key=lambda row: row["finished"] or "", default=None)

    def rows(self) -> Mapping[str, schema.Row]:
        """All rows by cell, from the row files and the table; the one finished later counts."""
        return self.scan().rows

    def frame(self) -> pd.DataFrame:
        """One row per cell, the columns of `harness.storage.schema`, sorted by arm and seed."""
        return self.scan().frame()

    def scan(self) -> Contents:
        """All rows, and what cannot be read.

        A row file that the table contains in its present version is not read again.
        """
        versions = self.backend.versions(*layout.ROWS)
        table, corrupt = self._read_table_or_rebuild(versions)
        unread = [key for key, version in versions.items() if table.versions.get(key) != version]
        stale = self._find_stale(unread, table)
        fragments, corrupt_rows = self._read_rows(key for key in unread if key not in stale)
        rows = _lay_over(table.rows, fragments) if fragments else table.rows
        left_out = {*corrupt_rows, *stale}
        readable = {key: version for key, version in versions.items() if key not in left_out}
        pending = {
            cell: digest
            for cell, digest in table.stale.items()
            if cell not in rows or row_key(cell) in stale
        }
        columns = None if fragments else table.columns
        return Contents(rows, corrupt | corrupt_rows, readable, pending, columns)

    def compact(self) -> str:
        """Write `results.parquet` from all rows; returns its path as shown to people."""
        contents = self.scan()
        self.quarantine({TABLE} & set(contents.corrupt))
        self.table.write(contents)
        return self.display_path(TABLE)

    def update_rows(
        self,
        rows: Iterable[schema.Row],
        removed: Iterable[str] = (),
        files: Iterable[str] = (),
    ) -> None:
        """Set the rows of some cells, and remove those of others (ids) with `files` (keys).

        One write of the table makes the change, whole or not at all: from then on the row files of
        these cells do not count. They and the files are removed after it. All other rows stay.
        Stale row files of earlier changes that were interrupted are removed as well.
        """
        contents = self.scan()
        self.quarantine({TABLE} & set(contents.corrupt))
        changed, gone = {row["cell"]: row for row in rows}, set(removed)
        kept = {c: row for c, row in {**contents.rows, **changed}.items() if c not in gone}
        finished = {cell for cell in contents.stale if cell in contents.rows}
        keys = [row_key(cell) for cell in sorted({*changed, *gone, *finished})]
        versions = {key: v for key, v in contents.versions.items() if key not in set(keys)}
        others = {c: d for c, d in contents.stale.items() if row_key(c) not in set(keys)}
        stale = dict.fromkeys(gone, "") | {
            name_of(key): _hash(content) for key, content in self.backend.read_all(keys).items()
        }
        self.table.write(Contents(kept, {}, versions, others | stale))
        for key in [*keys, *files]:
            self.remove(key)
        if stale:
            self.table.write(Contents(kept, {}, versions, others))

    def quarantine(self, keys: Iterable[str]) -> None:
        """Move corrupt files to damaged/, unless they have been rewritten in the meantime."""
        for key in keys:
            content = self.read(key)
            if content is not None and self._is_corrupt(key, content):
                digest = hashlib.sha256(content).hexdigest()[:12]
                self.write(layout.damaged_key(digest, key), content)
                if self.read(key) == content:
                    self.remove(key)

    def _read_table_or_rebuild(self, fragments: Iterable[str]) -> tuple[Table, dict[str, str]]:
        """The table; if it is corrupt and can be rebuilt, an empty one and a sentence by key.

        The error is raised if a cell with a learning curve has no row file: its row would be lost.
        """
        try:
            return self.table.read(), {}
        except CorruptTableError as error:
            cells = {name_of(key) for key in fragments}
            if not cells or not cells >= {name_of(key) for key in self.keys(*layout.CURVES)}:
                raise
            return Table(), {TABLE: f"{error}: left out, and made again from rows/"}

    def _find_stale(self, keys: Iterable[str], table: Table) -> set[str]:
        """The keys of row files that the table says no longer count."""
        recorded = [key for key in keys if name_of(key) in table.stale]
        if not recorded:
            return set()
        contents = self.backend.read_all(recorded)
        return {k for k, content in contents.items() if _hash(content) == table.stale[name_of(k)]}

    def _read_rows(self, keys: Iterable[str]) -> tuple[list[schema.Row], dict[str, str]]:
        """The rows under the keys, and a sentence for each key that cannot be read."""
        rows: list[schema.Row] = []
        corrupt: dict[str, str] = {}
        ordered = list(keys)
        for start in range(0, len(ordered), ROWS_AT_ONCE):
            contents = self.backend.read_all(ordered[start : start + ROWS_AT_ONCE])
            try:
                rows += parse_rows(contents)
            except PARSE_ERRORS:
                for key, content in contents.items():
                    try:
                        rows.append(parse_row(key, content))
                    except PARSE_ERRORS as error:
                        corrupt[key] = self._describe_corrupt(key, error)
        return rows, corrupt

    def _describe_corrupt(self, key: str, error: Exception) -> str:
        reason = str(error).splitlines()[0]
        return (
            f"{self.display_path(key)} is not a whole row ({reason}): left out until its "
            "cell is computed again"
        )

    def _is_corrupt(self, key: str, content: bytes) -> bool:
        try:
            self.table.read() if key == TABLE else parse_row(key, content)
        except (CorruptTableError, *PARSE_ERRORS):
            return True
        return False


def _lay_over(
    rows: Mapping[str, schema.Row], fragments: Iterable[schema.Row]
) -> dict[str, schema.Row]:
    """Rows by cell, replaced by those of row files that did not finish earlier."""
    result = dict(rows)
    for row in fragments:
        existing = result.get(row["cell"])
        if existing is None or (row["finished"] or "") >= (existing["finished"] or ""):
            result[row["cell"]] = row
    return result


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_backend(address: str | Path) -> StorageBackend:
    """The backend of an address; InputError for an address of another kind."""
    parts = urlsplit(str(address))
    if "://" not in str(address):
        return Folder(address)
    if parts.scheme not in ADDRESS_OPTIONS:
        raise InputError(
            f"results at {parts.scheme}://...; expected a folder, s3://BUCKET/PATH or "
            "gs://BUCKET/PATH"
        )
    return Bucket(parts)
