"""Rows, curves, samples, weights and checkpoints in one place; every write is whole or not there at
all.

    results.parquet            one row a cell, compacted from rows/
    rows/CELL.json             one row, written once by the worker that computed it
    curves/CELL.parquet        the learning curve
    samples/CELL.png           200 digits from the prior
    reconstructions/CELL.png   lines of test images, each above its reconstructions
    traversals/CELL.png        a line a latent dimension
    predictions/CELL.npy       the class a classifier gives each test image
    targets/DATASET.npy        their true classes
    weights/CELL.safetensors   final weights
    checkpoints/CELL.safetensors   training state, gone when the cell is done
    scores/CELL.safetensors    scores of a cell whose scoring is not over, gone when its row is written
    judges/DATASET.safetensors     the classifier that counts digits
    provenance/RUN.json        what ran, with what, on what
    plugins/SHA256.json        the texts of a plug-in, by the checksum that rows and provenance name it by
    damaged/                   rows and tables that were found torn, kept as they were
    progress/RUN.json          how it stands, or how it ended
    logs/CELL.txt              what a failed cell said last

The fragments in rows/ are the truth and whole ones are never removed; `results.parquet` can be made
again from them, and alone it is enough: a copied table keeps its cells done. Two drivers may share
a store, as every write is whole.
"""

import hashlib
import io
import json
import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import InputError, StorageError, truncate
from harness.storage import parquet, schema
from harness.storage.backend import FileVersion, StorageBackend
from harness.storage.local import Folder
from harness.storage.object_store import ADDRESS_OPTIONS, Bucket

TABLE = "results.parquet"
VERSIONS_KEY = (
    b"harness.fragments"  # in the table's metadata: whose fragments it holds, and their stamps
)
# ns before the newest fragment: an older one that is written again gets another stamp
SETTLED_NS = 60 * 10**9
PictureKind = Literal["samples", "reconstructions", "traversals"]


@dataclass(frozen=True)
class Contents:
    """The rows by their cells, a sentence on each torn key, and the stamps of the whole fragments."""

    rows: Mapping[str, schema.Row]
    corrupt: Mapping[str, str]
    versions: Mapping[str, FileVersion]

    def frame(self) -> pd.DataFrame:
        """The rows as a frame: one row a cell, the columns of `harness.storage.schema`, sorted by
        arm and seed.
        """
        frame: pd.DataFrame = _to_arrow(self.rows.values()).to_pandas()
        return frame


@dataclass(frozen=True)
class _Table:
    """A table: its rows by their cells, and the stamps of the fragments that are in it."""

    rows: Mapping[str, schema.Row]
    versions: Mapping[str, FileVersion]


class _CorruptTableError(InputError):
    """A table that is no parquet file."""


class Store:
    """Results at an address. Opening one creates nothing; `prepare` does, and refuses a place that
    cannot hold it.
    """

    def __init__(self, address: str | Path):
        self.backend = make_backend(address)
        self.address, self.name = self.backend.address, self.backend.name
        self._cached_table: tuple[FileVersion | None, _Table] = (None, _Table({}, {}))

    def prepare(self) -> None:
        """Make sure that the place can be written to."""
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.backend.write(probe, b"")
            self.backend.remove(probe)
        except StorageError as error:
            expected = (
                "a writable folder"
                if isinstance(self.backend, Folder)
                else "a bucket that is there and writable"
            )
            raise InputError(
                f"results {self.name!r} cannot be written: {error.reason}; expected {expected}"
            ) from None

    def check_reachable(self) -> None:
        """Refuse, within seconds, a place where nobody answers or nothing may be read."""
        self.backend.check_reachable()

    # --- whole contents ---------------------------------------------------------------------------

    def write(self, key: str, content: bytes) -> None:
        """Put `content` under `key`; readers see the old content or the new one."""
        self.backend.write(key, content)

    def read(self, key: str) -> bytes | None:
        """The bytes under `key`, None where there are none."""
        return self.backend.read(key)

    def read_start(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes under `key`, None where there are none; the rest is not read."""
        return self.backend.read_start(key, size)

    def version(self, key: str) -> FileVersion | None:
        """What tells the content of `key` from the next, None where there is none."""
        return self.backend.version(key)

    def remove(self, key: str) -> None:
        """Forget `key`, if it is there."""
        self.backend.remove(key)

    def keys(self, folder: str, suffix: str) -> list[str]:
        """The keys `folder/*suffix`, sorted; temporary files are none."""
        return list(self.backend.versions(folder, suffix))

    def display_path(self, key: str) -> str:
        """Where `key` lies, for people."""
        return f"{self.name}/{key}"

    @property
    def root(self) -> Path:
        """The folder; a bucket is refused."""
        return self._local_folder().root

    @property
    def report_folder(self) -> Path:
        """A folder for what is made from the results: theirs, or one of this machine that bears the
        bucket's name.
        """
        return (
            self.root
            if isinstance(self.backend, Folder)
            else Path("results", *self.name.split("/")[2:])
        )

    def path(self, key: str) -> Path:
        """The file of `key`; a key that would leave the folder is refused, and so is a bucket."""
        return self._local_folder().path(key)

    def _local_folder(self) -> Folder:
        if isinstance(self.backend, Folder):
            return self.backend
        raise InputError(f"results {self.name!r} lie in a bucket; expected a folder")

    # --- rows -------------------------------------------------------------------------------------

    def write_row(self, values: Mapping[str, Any]) -> None:
        """Write one cell's row, checked against the schema, replacing an older one of the same
        cell.
        """
        row = schema.make_row(values)
        self.write(f"rows/{row['cell']}.json", json.dumps(row, indent=1).encode())

    def row(self, cell: str) -> schema.Row | None:
        """The row of one cell, or None where there is none that is whole."""
        rows, _ = self._read_rows([f"rows/{cell}.json"])
        version = self.backend.version(TABLE)
        if version != self._cached_table[0]:
            self._cached_table = (version, self._read_table())
        candidates = [*rows, *filter(None, [self._cached_table[1].rows.get(cell)])]
        return max(candidates, key=lambda row: row["finished"] or "", default=None)

    def rows(self) -> Mapping[str, schema.Row]:
        """Every row by its cell: the fragments, and what only the table holds; of two the later
        finished counts.
        """
        return self.scan().rows

    def scan(self) -> Contents:
        """Every row, and what is torn. A fragment that the table holds as it stands is not read
        again.
        """
        versions, corrupt = self.backend.versions("rows", ".json"), {}
        try:
            table = self._read_table()
        except _CorruptTableError as error:
            corrupt[TABLE] = self._describe_corrupt_table(error, versions)
            table = _Table({}, {})
        rows = dict(table.rows)
        fragments, corrupt_rows = self._read_rows(
            key for key, version in versions.items() if table.versions.get(key) != version
        )
        for row in fragments:
            existing = rows.get(row["cell"])
            if existing is None or (row["finished"] or "") >= (existing["finished"] or ""):
                rows[row["cell"]] = row
        return Contents(
            rows,
            corrupt | corrupt_rows,
            {key: version for key, version in versions.items() if key not in corrupt_rows},
        )

    def quarantine(self, keys: Iterable[str]) -> None:
        """Move what was found torn to damaged/; what somebody has written whole meanwhile stays."""
        for key in keys:
            content = self.read(key)
            if content is not None and self._is_corrupt(key, content):
                digest = hashlib.sha256(content).hexdigest()[:12]
                self.write(f"damaged/{digest}-{key.rpartition('/')[2]}", content)
                if self.read(key) == content:
                    self.remove(key)

    def frame(self) -> pd.DataFrame:
        """The results as a frame: one row a cell, the columns of `harness.storage.schema`, sorted
        by arm and seed.
        """
        return self.scan().frame()

    def compact(self) -> str:
        """Write `results.parquet` from all rows and say where it lies."""
        contents = self.scan()
        self.quarantine({TABLE} & set(contents.corrupt))
        metadata = {
            VERSIONS_KEY: json.dumps(
                {"place": self._address_hash(), "stamps": _settled_versions(contents.versions)}
            )
        }
        table, sink = _to_arrow(contents.rows.values()), io.BytesIO()
        pq.write_table(table.replace_schema_metadata(table.schema.metadata | metadata), sink)
        self.write(TABLE, sink.getvalue())
        return self.display_path(TABLE)

    def _read_table(self) -> _Table:
        content = self.read(TABLE)
        if content is None:
            return _Table({}, {})
        expected = f"expected {TABLE} of this harness (schema {schema.VERSION})"
        try:
            table = parquet.read(content)
            version = parquet.get_metadata(table, b"harness.storage.schema")
            if not schema.is_known_version(version):
                raise ValueError(f"{truncate(str(version))}, which this harness does not know")
            rows = _latest_by_cell(schema.conform_to_schema(table).to_pylist())
        except parquet.NotParquetError as error:
            raise _CorruptTableError(
                f"{self.display_path(TABLE)} is not a parquet file ({error}); {expected}"
            ) from None
        except parquet.TooLargeError as error:
            raise InputError(f"{self.display_path(TABLE)} is too large: {error}") from None
        except ValueError as error:
            raise InputError(
                f"{self.display_path(TABLE)} has another schema: {error}; {expected}"
            ) from None
        return _Table(
            rows, self._recorded_versions(parquet.get_metadata(table, VERSIONS_KEY), rows)
        )

    def _recorded_versions(
        self, metadata: str | None, rows: Container[str]
    ) -> dict[str, FileVersion]:
        """What a table that was compacted here says of the fragments in it; a copied one says
        nothing.
        """
        try:
            recorded = json.loads(metadata or "{}")
            versions = recorded["stamps"] if recorded.get("place") == self._address_hash() else {}
            return {
                f"rows/{cell}.json": FileVersion(*version)
                for cell, version in versions.items()
                if cell in rows
            }
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return {}  # then every fragment is read

    def _address_hash(self) -> str:
        """By what a table knows the place of its fragments again, and nobody else does."""
        return hashlib.sha256(self.address.encode()).hexdigest()[:16]

    def _describe_corrupt_table(self, error: _CorruptTableError, fragments: Iterable[str]) -> str:
        """What to say of a torn table; it is refused where cells with a curve have no fragment:
        they need it.
        """
        cells = {_stem(key) for key in fragments}
        if not cells or not cells >= {_stem(key) for key in self.keys("curves", ".parquet")}:
            raise error
        return f"{error}: left out, and made again from rows/"

    def _read_rows(self, keys: Iterable[str]) -> tuple[list[schema.Row], dict[str, str]]:
        """The whole rows under the keys, and a sentence on each key that is torn."""
        rows, corrupt = [], {}
        for key, content in self.backend.read_all(keys).items():
            try:
                rows.append(_parse_row(key, content))
            except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
                reason = str(error).splitlines()[0]
                corrupt[key] = (
                    f"{self.display_path(key)} is not a whole row ({reason}): left out until its "
                    f"cell "
                    f"is computed again"
                )
        return rows, corrupt

    def _is_corrupt(self, key: str, content: bytes) -> bool:
        try:
            self._read_table() if key == TABLE else _parse_row(key, content)
        except (_CorruptTableError, ValueError, TypeError, AttributeError, pa.ArrowException):
            return True
        return False

    # --- what lies beside a row -------------------------------------------------------------------

    def write_curve(self, cell: str, points: list[dict[str, Any]]) -> None:
        """Write a learning curve: a list of points with the columns of `schema.CURVE_SCHEMA`."""
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(points, schema=schema.CURVE_SCHEMA), sink)
        self.write(f"curves/{cell}.parquet", sink.getvalue())

    def curve(self, cell: str) -> pd.DataFrame | None:
        """The learning curve of a cell, or None; ValueError where what lies there is none."""
        content = self.read(f"curves/{cell}.parquet")
        if content is None:
            return None
        curve: pd.DataFrame = schema.conform_to_schema(
            parquet.read(content), schema.CURVE_SCHEMA, schema.LATER_CURVE_COLUMNS
        ).to_pandas()
        return curve

    def write_classes(self, key: str, classes: np.ndarray) -> None:
        """Write classes (n,) as bytes under `key`, a .npy file."""
        sink = io.BytesIO()
        np.save(sink, classes.astype(np.uint8), allow_pickle=False)
        self.write(key, sink.getvalue())

    def predictions(self, cell: str) -> np.ndarray | None:
        """The class that a cell's classifier gives each grey test image, (n,) uint8, or None."""
        return self._read_classes(f"predictions/{cell}.npy")

    def targets(self, dataset: str) -> np.ndarray | None:
        """The true classes of a data set's test images, (n,) uint8, or None."""
        return self._read_classes(f"targets/{dataset}.npy")

    def _read_classes(self, key: str) -> np.ndarray | None:
        content = self.read(key)
        return None if content is None else np.load(io.BytesIO(content), allow_pickle=False)

    def pictures(self, kind: PictureKind, cell: str) -> bytes | None:
        """A PNG of 200 digits of a cell, or None."""
        return self.read(f"{kind}/{cell}.png")

    def provenance(self) -> list[dict[str, Any]]:
        """What ran, one record a run, oldest first."""
        contents = self.backend.read_all(self.keys("provenance", ".json"))
        records = [json.loads(content) for content in contents.values()]
        return sorted(records, key=lambda record: str(record.get("started", "")))


def _to_arrow(rows: Iterable[schema.Row]) -> pa.Table:
    def rank(row: schema.Row) -> tuple[tuple[str, ...], int]:
        return tuple(str(row[name]) for name in schema.ARM_COLUMNS), row["seed"] or 0

    return pa.Table.from_pylist(sorted(rows, key=rank), schema=schema.SCHEMA)


def _latest_by_cell(rows: Iterable[schema.Row]) -> dict[str, schema.Row]:
    """Rows by their cells; of two of one cell the later finished counts, and two that differ
    otherwise are refused.
    """
    latest: dict[str, schema.Row] = {}
    for row in rows:
        existing = latest.setdefault(row["cell"], row)
        finish_times = existing["finished"] or "", row["finished"] or ""
        if row["cell"] is None or (existing != row and finish_times[0] == finish_times[1]):
            problem = (
                f"two rows of cell {row['cell']} that differ"
                if row["cell"]
                else "a row without a cell"
            )
            raise ValueError(f"it has {problem}")
        if finish_times[1] > finish_times[0]:
            latest[row["cell"]] = row
    return latest


def _parse_row(key: str, content: bytes) -> schema.Row:
    """A fragment's row; what is not a whole row, or another cell's, is an error."""
    row = schema.make_row(json.loads(content))
    if key != f"rows/{row['cell']}.json":
        raise ValueError(f"it holds that of cell {row['cell']}")
    return row


def _settled_versions(versions: Mapping[str, FileVersion]) -> dict[str, FileVersion]:
    """The stamps, by cell, that no later content of their fragments can have: a bucket's clock
    ticks in seconds.
    """
    newest = max((version.mtime_ns for version in versions.values()), default=0)
    return {
        _stem(key): version
        for key, version in versions.items()
        if version.mtime_ns < newest - SETTLED_NS
    }


def _stem(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


def make_backend(address: str | Path) -> StorageBackend:
    """The place at an address; nothing is asked of it yet."""
    parts = urlsplit(str(address))
    if "://" not in str(address):
        return Folder(address)
    if parts.scheme not in ADDRESS_OPTIONS:
        raise InputError(
            f"results at {parts.scheme}://...; expected a folder, s3://BUCKET/PATH or "
            f"gs://BUCKET/PATH"
        )
    return Bucket(parts)
