"""Rows, curves, samples, weights and checkpoints in one folder; every write is whole or not there at all.

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
    judges/DATASET.safetensors     the classifier that counts digits
    provenance/RUN.json        what ran, with what, on what
    progress/RUN.json          how it stands, or how it ended
    logs/CELL.txt              what a failed cell said last

The fragments in rows/ are the truth and are never removed; `results.parquet` can be made again from them, and alone it
is enough: a copied table keeps its cells done. Two drivers may share a store, as every write has a temporary name.
"""

import io
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness import schema
from harness.errors import BadInput

TABLE = "results.parquet"
Pictures = Literal["samples", "reconstructions", "traversals"]


class Store:
    """A results folder. Opening one creates nothing; `prepare` does, and refuses a place that cannot hold it."""

    def __init__(self, root: str | Path):
        self.root = Path(root).expanduser().absolute()
        if self.root.exists() and not self.root.is_dir():
            raise BadInput(f"results {str(root)!r} is a file; expected a folder")

    def prepare(self) -> None:
        """Make sure that the folder can be written to."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{uuid.uuid4().hex}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            reason = f"cannot be written: {error.strerror}; expected a writable folder"
            raise BadInput(f"results {str(self.root)!r} {reason}") from None

    # --- whole files -------------------------------------------------------------------------------------------------

    def write(self, key: str, content: bytes) -> None:
        """Put `content` under `key`: a temporary file, fsync, rename; readers see the old file or the new one."""
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, key: str) -> bytes | None:
        """The bytes under `key`, None where there are none."""
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, key: str) -> None:
        """Forget `key`, if it is there."""
        self.path(key).unlink(missing_ok=True)

    def path(self, key: str) -> Path:
        """Where `key` lies; a key that would leave the folder is refused."""
        path = (self.root / key).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError(f"key {key!r} leaves the results folder")
        return path

    def keys(self, folder: str, suffix: str) -> list[str]:
        """The keys `folder/*suffix`, sorted; temporary files are none."""
        return sorted(f"{folder}/{p.name}" for p in self.path(folder).glob(f"*{suffix}") if not p.name.startswith("."))

    # --- rows --------------------------------------------------------------------------------------------------------

    def write_row(self, values: Mapping[str, Any]) -> None:
        """Write one cell's row, checked against the schema, replacing an older one of the same cell."""
        row = schema.row(values)
        self.write(f"rows/{row['cell']}.json", json.dumps(row, indent=1).encode())

    def row(self, cell: str) -> schema.Row | None:
        """The row of one cell, or None."""
        key = f"rows/{cell}.json"
        held = [self._fragment(key)] if self.path(key).is_file() else []
        held += [row for row in self._table() if row["cell"] == cell]
        return max(held, key=lambda row: row["finished"] or "", default=None)

    def rows(self) -> dict[str, schema.Row]:
        """Every row by its cell: the fragments, and what only the table holds; of two the later finished counts."""
        rows = {row["cell"]: row for row in self._table()}
        for key in self.keys("rows", ".json"):
            row = self._fragment(key)
            known = rows.get(row["cell"])
            if known is None or (row["finished"] or "") >= (known["finished"] or ""):
                rows[row["cell"]] = row
        return rows

    def frame(self) -> pd.DataFrame:
        """The results as a frame: one row a cell, the columns of `harness.schema`, sorted by arm and seed."""
        frame: pd.DataFrame = _table(self.rows().values()).to_pandas()
        return frame

    def compact(self) -> Path:
        """Write `results.parquet` from all rows and say where it lies."""
        sink = io.BytesIO()
        pq.write_table(_table(self.rows().values()), sink)
        self.write(TABLE, sink.getvalue())
        return self.path(TABLE)

    def _table(self) -> list[schema.Row]:
        content = self.read(TABLE)
        if content is None:
            return []
        expected = f"expected {TABLE} of this harness (schema {schema.VERSION})"
        try:
            table = pq.read_table(io.BytesIO(content))
        except pa.ArrowException as error:
            raise BadInput(
                f"{self.path(TABLE)} is not a parquet file ({str(error).splitlines()[0]}); {expected}"
            ) from None
        version = (table.schema.metadata or {}).get(b"harness.schema", b"none").decode()
        if version != schema.VERSION or not table.schema.equals(schema.SCHEMA):
            raise BadInput(f"{self.path(TABLE)} has another schema ({version}); {expected}")
        return table.to_pylist()  # type: ignore[no-any-return]

    def _fragment(self, key: str) -> schema.Row:
        content = self.read(key) or b""
        try:
            row = schema.row(json.loads(content))
        except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
            raise BadInput(
                f"{self.path(key)} is not a whole row ({str(error).splitlines()[0]}); "
                "expected JSON as the harness writes it: move it away and its cell is computed again"
            ) from None
        if key != f"rows/{row['cell']}.json":
            raise BadInput(f"{self.path(key)} holds the row of cell {row['cell']}; expected its own")
        return row

    # --- what lies beside a row --------------------------------------------------------------------------------------

    def write_curve(self, cell: str, points: list[dict[str, Any]]) -> None:
        """Write a learning curve: a list of points with the columns of `schema.CURVE`."""
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(points, schema=schema.CURVE), sink)
        self.write(f"curves/{cell}.parquet", sink.getvalue())

    def curve(self, cell: str) -> pd.DataFrame | None:
        """The learning curve of a cell, or None."""
        content = self.read(f"curves/{cell}.parquet")
        return None if content is None else pq.read_table(io.BytesIO(content)).to_pandas()

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
        records = [json.loads(self.read(key) or b"{}") for key in self.keys("provenance", ".json")]
        return sorted(records, key=lambda record: str(record.get("started", "")))


def _table(rows: Iterable[schema.Row]) -> pa.Table:
    def place(row: schema.Row) -> tuple[tuple[str, ...], int]:
        return tuple(str(row[name]) for name in schema.ARM), row["seed"] or 0

    return pa.Table.from_pylist(sorted(rows, key=place), schema=schema.SCHEMA)
