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

from harness.errors import BadInput, StorageFailure, shortened
from harness.storage import parquet, schema
from harness.storage.backend import Place, Stamp
from harness.storage.local import Folder
from harness.storage.object_store import OPTIONS, Bucket

TABLE = "results.parquet"
STAMPS = b"harness.fragments"  # in the table's metadata: whose fragments it holds, and their stamps
# ns before the newest fragment: an older one that is written again gets another stamp
SETTLED = 60 * 10**9
Pictures = Literal["samples", "reconstructions", "traversals"]


@dataclass(frozen=True)
class Found:
    """The rows by their cells, a sentence on each torn key, and the stamps of the whole fragments."""

    rows: Mapping[str, schema.Row]
    torn: Mapping[str, str]
    stamps: Mapping[str, Stamp]

    def frame(self) -> pd.DataFrame:
        """The rows as a frame: one row a cell, the columns of `harness.storage.schema`, sorted by
        arm and seed.
        """
        frame: pd.DataFrame = _arrow(self.rows.values()).to_pandas()
        return frame


@dataclass(frozen=True)
class _Table:
    """A table: its rows by their cells, and the stamps of the fragments that are in it."""

    rows: Mapping[str, schema.Row]
    stamps: Mapping[str, Stamp]


class _TornTable(BadInput):
    """A table that is no parquet file."""


class Store:
    """Results at an address. Opening one creates nothing; `prepare` does, and refuses a place that
    cannot hold it.
    """

    def __init__(self, address: str | Path):
        self.place = place(address)
        self.address, self.name = self.place.address, self.place.name
        self._known: tuple[Stamp | None, _Table] = (None, _Table({}, {}))

    def prepare(self) -> None:
        """Make sure that the place can be written to."""
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.place.write(probe, b"")
            self.place.remove(probe)
        except StorageFailure as error:
            expected = (
                "a writable folder"
                if isinstance(self.place, Folder)
                else "a bucket that is there and writable"
            )
            raise BadInput(
                f"results {self.name!r} cannot be written: {error.reason}; expected {expected}"
            ) from None

    def reach(self) -> None:
        """Refuse, within seconds, a place where nobody answers or nothing may be read."""
        self.place.reach()

    # --- whole contents ---------------------------------------------------------------------------

    def write(self, key: str, content: bytes) -> None:
        """Put `content` under `key`; readers see the old content or the new one."""
        self.place.write(key, content)

    def read(self, key: str) -> bytes | None:
        """The bytes under `key`, None where there are none."""
        return self.place.read(key)

    def stamp(self, key: str) -> Stamp | None:
        """What tells the content of `key` from the next, None where there is none."""
        return self.place.stamp(key)

    def remove(self, key: str) -> None:
        """Forget `key`, if it is there."""
        self.place.remove(key)

    def keys(self, folder: str, suffix: str) -> list[str]:
        """The keys `folder/*suffix`, sorted; temporary files are none."""
        return list(self.place.stamps(folder, suffix))

    def shown(self, key: str) -> str:
        """Where `key` lies, for people."""
        return f"{self.name}/{key}"

    @property
    def root(self) -> Path:
        """The folder; a bucket is refused."""
        return self._folder().root

    @property
    def beside(self) -> Path:
        """A folder for what is made from the results: theirs, or one of this machine that bears the
        bucket's name.
        """
        return (
            self.root
            if isinstance(self.place, Folder)
            else Path("results", *self.name.split("/")[2:])
        )

    def path(self, key: str) -> Path:
        """The file of `key`; a key that would leave the folder is refused, and so is a bucket."""
        return self._folder().path(key)

    def _folder(self) -> Folder:
        if isinstance(self.place, Folder):
            return self.place
        raise BadInput(f"results {self.name!r} lie in a bucket; expected a folder")

    # --- rows -------------------------------------------------------------------------------------

    def write_row(self, values: Mapping[str, Any]) -> None:
        """Write one cell's row, checked against the schema, replacing an older one of the same
        cell.
        """
        row = schema.row(values)
        self.write(f"rows/{row['cell']}.json", json.dumps(row, indent=1).encode())

    def row(self, cell: str) -> schema.Row | None:
        """The row of one cell, or None where there is none that is whole."""
        rows, _ = self._fragments([f"rows/{cell}.json"])
        stamp = self.place.stamp(TABLE)
        if stamp != self._known[0]:
            self._known = (stamp, self._table())
        held = [*rows, *filter(None, [self._known[1].rows.get(cell)])]
        return max(held, key=lambda row: row["finished"] or "", default=None)

    def rows(self) -> Mapping[str, schema.Row]:
        """Every row by its cell: the fragments, and what only the table holds; of two the later
        finished counts.
        """
        return self.find().rows

    def find(self) -> Found:
        """Every row, and what is torn. A fragment that the table holds as it stands is not read
        again.
        """
        stamps, torn = self.place.stamps("rows", ".json"), {}
        try:
            table = self._table()
        except _TornTable as error:
            torn[TABLE] = self._replaceable(error, stamps)
            table = _Table({}, {})
        rows = dict(table.rows)
        fragments, torn_rows = self._fragments(
            key for key, stamp in stamps.items() if table.stamps.get(key) != stamp
        )
        for row in fragments:
            known = rows.get(row["cell"])
            if known is None or (row["finished"] or "") >= (known["finished"] or ""):
                rows[row["cell"]] = row
        return Found(
            rows,
            torn | torn_rows,
            {key: stamp for key, stamp in stamps.items() if key not in torn_rows},
        )

    def set_aside(self, torn: Iterable[str]) -> None:
        """Move what was found torn to damaged/; what somebody has written whole meanwhile stays."""
        for key in torn:
            content = self.read(key)
            if content is not None and self._is_torn(key, content):
                mark = hashlib.sha256(content).hexdigest()[:12]
                self.write(f"damaged/{mark}-{key.rpartition('/')[2]}", content)
                if self.read(key) == content:
                    self.remove(key)

    def frame(self) -> pd.DataFrame:
        """The results as a frame: one row a cell, the columns of `harness.storage.schema`, sorted
        by arm and seed.
        """
        return self.find().frame()

    def compact(self) -> str:
        """Write `results.parquet` from all rows and say where it lies."""
        found = self.find()
        self.set_aside({TABLE} & set(found.torn))
        known = {STAMPS: json.dumps({"place": self._mark(), "stamps": _settled(found.stamps)})}
        table, sink = _arrow(found.rows.values()), io.BytesIO()
        pq.write_table(table.replace_schema_metadata(table.schema.metadata | known), sink)
        self.write(TABLE, sink.getvalue())
        return self.shown(TABLE)

    def _table(self) -> _Table:
        content = self.read(TABLE)
        if content is None:
            return _Table({}, {})
        expected = f"expected {TABLE} of this harness (schema {schema.VERSION})"
        try:
            table = parquet.read(content)
            version = parquet.said(table, b"harness.storage.schema")
            if not schema.known(version):
                raise ValueError(f"{shortened(str(version))}, which this harness does not know")
            rows = _one_each(schema.fitted(table).to_pylist())
        except parquet.NotParquet as error:
            raise _TornTable(
                f"{self.shown(TABLE)} is not a parquet file ({error}); {expected}"
            ) from None
        except parquet.TooLarge as error:
            raise BadInput(f"{self.shown(TABLE)} is too large: {error}") from None
        except ValueError as error:
            raise BadInput(f"{self.shown(TABLE)} has another schema: {error}; {expected}") from None
        return _Table(rows, self._stamps(parquet.said(table, STAMPS), rows))

    def _stamps(self, said: str | None, rows: Container[str]) -> dict[str, Stamp]:
        """What a table that was compacted here says of the fragments in it; a copied one says
        nothing.
        """
        try:
            told = json.loads(said or "{}")
            stamps = told["stamps"] if told.get("place") == self._mark() else {}
            return {
                f"rows/{cell}.json": Stamp(*stamp) for cell, stamp in stamps.items() if cell in rows
            }
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return {}  # then every fragment is read

    def _mark(self) -> str:
        """By what a table knows the place of its fragments again, and nobody else does."""
        return hashlib.sha256(self.address.encode()).hexdigest()[:16]

    def _replaceable(self, error: _TornTable, fragments: Iterable[str]) -> str:
        """What to say of a torn table; it is refused where cells with a curve have no fragment:
        they need it.
        """
        cells = {_stem(key) for key in fragments}
        if not cells or not cells >= {_stem(key) for key in self.keys("curves", ".parquet")}:
            raise error
        return f"{error}: left out, and made again from rows/"

    def _fragments(self, keys: Iterable[str]) -> tuple[list[schema.Row], dict[str, str]]:
        """The whole rows under the keys, and a sentence on each key that is torn."""
        rows, torn = [], {}
        for key, content in self.place.read_all(keys).items():
            try:
                rows.append(_row(key, content))
            except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
                reason = str(error).splitlines()[0]
                torn[key] = (
                    f"{self.shown(key)} is not a whole row ({reason}): left out until its cell "
                    f"is computed again"
                )
        return rows, torn

    def _is_torn(self, key: str, content: bytes) -> bool:
        try:
            self._table() if key == TABLE else _row(key, content)
        except (_TornTable, ValueError, TypeError, AttributeError, pa.ArrowException):
            return True
        return False

    # --- what lies beside a row -------------------------------------------------------------------

    def write_curve(self, cell: str, points: list[dict[str, Any]]) -> None:
        """Write a learning curve: a list of points with the columns of `schema.CURVE`."""
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(points, schema=schema.CURVE), sink)
        self.write(f"curves/{cell}.parquet", sink.getvalue())

    def curve(self, cell: str) -> pd.DataFrame | None:
        """The learning curve of a cell, or None; ValueError where what lies there is none."""
        content = self.read(f"curves/{cell}.parquet")
        if content is None:
            return None
        curve: pd.DataFrame = schema.fitted(
            parquet.read(content), schema.CURVE, schema.CURVE_LATER
        ).to_pandas()
        return curve

    def write_classes(self, key: str, classes: np.ndarray) -> None:
        """Write classes (n,) as bytes under `key`, a .npy file."""
        sink = io.BytesIO()
        np.save(sink, classes.astype(np.uint8), allow_pickle=False)
        self.write(key, sink.getvalue())

    def predictions(self, cell: str) -> np.ndarray | None:
        """The class that a cell's classifier gives each grey test image, (n,) uint8, or None."""
        return self._classes(f"predictions/{cell}.npy")

    def targets(self, dataset: str) -> np.ndarray | None:
        """The true classes of a data set's test images, (n,) uint8, or None."""
        return self._classes(f"targets/{dataset}.npy")

    def _classes(self, key: str) -> np.ndarray | None:
        content = self.read(key)
        return None if content is None else np.load(io.BytesIO(content), allow_pickle=False)

    def pictures(self, kind: Pictures, cell: str) -> bytes | None:
        """A PNG of 200 digits of a cell, or None."""
        return self.read(f"{kind}/{cell}.png")

    def provenance(self) -> list[dict[str, Any]]:
        """What ran, one record a run, oldest first."""
        contents = self.place.read_all(self.keys("provenance", ".json"))
        records = [json.loads(content) for content in contents.values()]
        return sorted(records, key=lambda record: str(record.get("started", "")))


def _arrow(rows: Iterable[schema.Row]) -> pa.Table:
    def rank(row: schema.Row) -> tuple[tuple[str, ...], int]:
        return tuple(str(row[name]) for name in schema.ARM), row["seed"] or 0

    return pa.Table.from_pylist(sorted(rows, key=rank), schema=schema.SCHEMA)


def _one_each(rows: Iterable[schema.Row]) -> dict[str, schema.Row]:
    """Rows by their cells; of two of one cell the later finished counts, and two that differ
    otherwise are refused.
    """
    found: dict[str, schema.Row] = {}
    for row in rows:
        known = found.setdefault(row["cell"], row)
        ends = known["finished"] or "", row["finished"] or ""
        if row["cell"] is None or (known != row and ends[0] == ends[1]):
            who = (
                f"two rows of cell {row['cell']} that differ"
                if row["cell"]
                else "a row without a cell"
            )
            raise ValueError(f"it has {who}")
        if ends[1] > ends[0]:
            found[row["cell"]] = row
    return found


def _row(key: str, content: bytes) -> schema.Row:
    """A fragment's row; what is not a whole row, or another cell's, is an error."""
    row = schema.row(json.loads(content))
    if key != f"rows/{row['cell']}.json":
        raise ValueError(f"it holds that of cell {row['cell']}")
    return row


def _settled(stamps: Mapping[str, Stamp]) -> dict[str, Stamp]:
    """The stamps, by cell, that no later content of their fragments can have: a bucket's clock
    ticks in seconds.
    """
    newest = max((stamp.written for stamp in stamps.values()), default=0)
    return {_stem(key): stamp for key, stamp in stamps.items() if stamp.written < newest - SETTLED}


def _stem(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


def place(address: str | Path) -> Place:
    """The place at an address; nothing is asked of it yet."""
    parts = urlsplit(str(address))
    if "://" not in str(address):
        return Folder(address)
    if parts.scheme not in OPTIONS:
        raise BadInput(
            f"results at {parts.scheme}://...; expected a folder, s3://BUCKET/PATH or "
            f"gs://BUCKET/PATH"
        )
    return Bucket(parts)
