"""Rows as they are stored: one JSON file per cell, and their order and uniqueness in a table."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from harness.experiment.own_columns import (
    OWN_COLUMNS,
    OwnColumn,
    format_descriptions,
    parse_descriptions,
    parse_metadata,
)
from harness.storage import schema
from harness.storage.backend import FileVersion
from harness.storage.layout import row_key

PARSE_ERRORS = (ValueError, TypeError, AttributeError, pa.ArrowException)  # what parse_row raises


@dataclass(frozen=True)
class Contents:
    """What a results folder holds.

    rows: by cell
    corrupt: a sentence for each key that cannot be read
    versions: the file versions of the readable row files, by key
    stale: cells whose row file does not count, as the table has replaced or removed the row, with
        the SHA-256 of that file, empty where there was none; a removal that was interrupted
    """

    rows: Mapping[str, schema.Row]
    corrupt: Mapping[str, str]
    versions: Mapping[str, FileVersion]
    stale: Mapping[str, str] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """One row per cell, the columns of `harness.storage.schema`, sorted by arm and seed."""
        frame: pd.DataFrame = to_arrow(self.rows.values()).to_pandas()
        return frame


def parse_row(key: str, content: bytes) -> schema.Row:
    """The row in a row file; one of `PARSE_ERRORS` if there is none, or another cell's."""
    row = schema.make_row(json.loads(content))
    if key != row_key(row["cell"]):
        raise ValueError(f"it holds that of cell {row['cell']}")
    return row


def to_arrow(rows: Iterable[schema.Row]) -> pa.Table:
    """Rows as a table of `schema.SCHEMA` and their own columns, sorted by arm and seed.

    Of two descriptions of a column, the metadata has that of the row that finished later.
    """
    rows = list(rows)

    def rank(row: schema.Row) -> tuple[tuple[str, ...], int]:
        return tuple(str(row[name]) for name in schema.ARM_COLUMNS), row["seed"] or 0

    own: dict[str, OwnColumn] = {}
    for row in sorted(rows, key=lambda row: row["finished"] or ""):
        own |= parse_descriptions(row[OWN_COLUMNS])
    return pa.Table.from_pylist(sorted(rows, key=rank), schema=schema.extend_schema(own))


def from_arrow(table: pa.Table) -> list[schema.Row]:
    """The rows of a table that conforms to the schema; each has the own columns that it describes.

    A value that only the metadata of its column describes is described in the row as well.
    """
    fields = [f for f in table.schema if f.name not in schema.COLUMN_NAMES]
    described = {f.name: parse_metadata(f.metadata) for f in fields}
    own = {name: column for name, column in described.items() if column is not None}
    rows: list[schema.Row] = table.to_pylist()
    return [_keep_described(row, own) for row in rows] if own else rows


def _keep_described(row: schema.Row, own: Mapping[str, OwnColumn]) -> schema.Row:
    known = parse_descriptions(row[OWN_COLUMNS])
    missing = {n: column for n, column in own.items() if n not in known and row[n] is not None}
    text = format_descriptions(known | missing) if missing else row[OWN_COLUMNS]
    dropped = own.keys() - known.keys() - missing.keys()
    return {n: value for n, value in row.items() if n not in dropped} | {OWN_COLUMNS: text}


def latest_by_cell(rows: Iterable[schema.Row]) -> dict[str, schema.Row]:
    """Rows by cell; of two rows of one cell, the one that finished later.

    ValueError for a row without a cell, and for two different rows that finished at once.
    """
    latest: dict[str, schema.Row] = {}
    for row in rows:
        existing = latest.setdefault(row["cell"], row)
        finish_times = existing["finished"] or "", row["finished"] or ""
        if row["cell"] is None:
            raise ValueError("it has a row without a cell")
        if existing != row and finish_times[0] == finish_times[1]:
            raise ValueError(f"it has two rows of cell {row['cell']} that differ")
        if finish_times[1] > finish_times[0]:
            latest[row["cell"]] = row
    return latest
