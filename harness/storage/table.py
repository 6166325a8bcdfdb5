"""The compacted table of a results folder: `results.parquet`."""

import hashlib
import io
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import InputError, truncate
from harness.storage import parquet, schema
from harness.storage.backend import FileVersion, StorageBackend
from harness.storage.layout import TABLE, name_of, row_key
from harness.storage.rows import (
    Contents,
    LazyRows,
    from_arrow,
    is_as_written,
    latest_by_cell,
    to_arrow,
)

# key of the table's metadata: which row files it contains, in which versions, of which folder
VERSIONS_KEY = b"harness.fragments"
# another one: row files that no longer count, by cell; only while they are being removed
STALE_KEY = b"harness.stale"
# ns; a row file this much older than the newest one cannot change without changing its version,
# as an object store's clock has a resolution of one second
SETTLED_NS = 60 * 10**9


class CorruptTableError(InputError):
    """A table that is not a parquet file."""


@dataclass(frozen=True)
class Table:
    """The rows of a table by cell, and the versions of the row files that it contains, by key.

    stale, columns: as in `Contents`
    """

    rows: Mapping[str, schema.Row] = field(default_factory=dict)
    versions: Mapping[str, FileVersion] = field(default_factory=dict)
    stale: Mapping[str, str] = field(default_factory=dict)
    columns: pa.Table | None = None


class TableFile:
    """Reads and writes the table of one results folder."""

    def __init__(self, backend: StorageBackend):
        self.backend = backend
        self._cached: tuple[FileVersion | None, Table] = (None, Table())

    def read(self) -> Table:
        """The table, empty where there is none.

        CorruptTableError if it is not a parquet file, InputError if it is of another schema.
        """
        content = self.backend.read(TABLE)
        if content is None:
            return Table()
        place = f"{self.backend.name}/{TABLE}"
        expected = f"expected {TABLE} of this harness (schema {schema.VERSION})"
        try:
            return self._parse(content)
        except parquet.NotParquetError as error:
            raise CorruptTableError(
                f"{place} is not a parquet file ({error}); {expected}"
            ) from None
        except parquet.TooLargeError as error:
            raise InputError(f"{place} is too large: {error}") from None
        except ValueError as error:
            raise InputError(f"{place} has another schema: {error}; {expected}") from None

    def read_cached(self) -> Table:
        """The table, read again only if the file has changed."""
        version = self.backend.version(TABLE)
        if version != self._cached[0]:
            self._cached = (version, self.read())
        return self._cached[1]

    def write(self, contents: Contents) -> None:
        """Write the rows, and which row files they come from."""
        versions = _settled_versions(contents.versions)
        place = self._address_hash() if versions else ""
        record = json.dumps({"place": place, "stamps": versions})
        table, sink = to_arrow(contents.rows.values()), io.BytesIO()
        metadata = table.schema.metadata | {VERSIONS_KEY: record}
        if contents.stale:
            metadata |= {STALE_KEY: json.dumps(dict(contents.stale))}
        pq.write_table(table.replace_schema_metadata(metadata), sink)
        self.backend.write(TABLE, sink.getvalue())

    def _parse(self, content: bytes) -> Table:
        table = parquet.read(content)
        version = parquet.get_metadata(table, b"harness.storage.schema")
        if not schema.is_known_version(version):
            raise ValueError(f"{truncate(str(version))}, which this harness does not know")
        record = parquet.get_metadata(table, VERSIONS_KEY)
        stale = _parse_stale(parquet.get_metadata(table, STALE_KEY))
        conformed = schema.conform_to_schema(table)
        if is_as_written(conformed):
            cells = set(conformed["cell"].to_pylist()) if record else set()
            versions = self._recorded_versions(record, cells)
            return Table(LazyRows(conformed), versions, stale, conformed)
        rows = latest_by_cell(from_arrow(conformed))
        return Table(rows, self._recorded_versions(record, rows), stale)

    def _recorded_versions(
        self, record: str | None, rows: Container[str]
    ) -> dict[str, FileVersion]:
        """The row files in a table that was compacted here; none for a copied table.

        Anything may be recorded in a table that others wrote; what cannot be used counts as none,
        and then every row file is read.
        """
        try:
            recorded = json.loads(record or "{}")
            versions = recorded["stamps"] if recorded.get("place") == self._address_hash() else {}
            return {
                row_key(cell): FileVersion(*version)
                for cell, version in versions.items()
                if cell in rows
            }
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return {}

    def _address_hash(self) -> str:
        """Identifies the folder without naming it."""
        return hashlib.sha256(self.backend.address.encode()).hexdigest()[:16]


def _settled_versions(versions: Mapping[str, FileVersion]) -> dict[str, FileVersion]:
    """By cell, the versions that no later content of the file can share."""
    newest = max((version.mtime_ns for version in versions.values()), default=0)
    return {
        name_of(key): version
        for key, version in versions.items()
        if version.mtime_ns < newest - SETTLED_NS
    }


def _parse_stale(record: str | None) -> dict[str, str]:
    """The stale row files that a table records; none where the record cannot be used."""
    try:
        return {str(cell): str(digest) for cell, digest in json.loads(record or "{}").items()}
    except (ValueError, AttributeError, RecursionError):
        return {}
