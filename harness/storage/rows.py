"""Rows as they are stored: one JSON file per cell, and their order and uniqueness in a table."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

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

# what parse_row raises
PARSE_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    pa.ArrowException,
)


@dataclass(frozen=True)
class Contents:
    """What a results folder holds.

    rows: by cell
    corrupt: a sentence for each key that cannot be read
    versions: the file versions of the readable row files, by key
    stale: cells whose row file does not count, as the table has replaced or removed the row, with
        the SHA-256 of that file, empty where there was none; a removal that was interrupted
    columns: the same rows as `to_arrow` would give them, where they are known without `rows`
    """

    rows: Mapping[str, schema.Row]
    corrupt: Mapping[str, str]
    versions: Mapping[str, FileVersion]
    stale: Mapping[str, str] = field(default_factory=dict)
    columns: pa.Table | None = None

    def frame(self) -> pd.DataFrame:
        """One row per cell, the columns of `harness.storage.schema`, sorted by arm and seed."""
        columns = to_arrow(self.rows.values()) if self.columns is None else self.columns
        frame: pd.DataFrame = columns.to_pandas()
        return frame


class LazyRows(Mapping[str, schema.Row]):
    """The rows of a table by cell, made from its columns on first use.

    A million of them take minutes and gigabytes, which the analysis does not need.
    """

    def __init__(self, table: pa.Table):
        self.table = table

    @cached_property
    def _rows(self) -> dict[str, schema.Row]:
        return latest_by_cell(from_arrow(self.table))

    def __getitem__(self, cell: str) -> schema.Row:
        return self._rows[cell]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def parse_row(key: str, content: bytes) -> schema.Row:
    """The row in a row file; one of `PARSE_ERRORS` if there is none, or another cell's."""
    return parse_rows({key: content})[0]


def parse_rows(contents: Mapping[str, bytes]) -> list[schema.Row]:
    """The rows in row files, by key; one of `PARSE_ERRORS` if any of them holds none.

    The types of all are checked at once: one after another takes thirty times as long.
    """
    rows = [_parse_untyped(key, content) for key, content in contents.items()]
    schema.check_types(rows)
    return rows


def _parse_untyped(key: str, content: bytes) -> schema.Row:
    row = schema.complete_row(json.loads(content))
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


def is_as_written(table: pa.Table) -> bool:
    """Whether `to_arrow` of the rows of a table would give its columns as they are.

    It has each cell once, is sorted, and describes its own columns in its rows and their metadata
    alike, as the tables that `to_arrow` makes. Others may come from elsewhere.
    """
    cells = table["cell"]
    has_each_once = cells.null_count == 0 and pc.count_distinct(cells).as_py() == len(table)
    return has_each_once and _is_described(table) and _is_sorted(table)


def _is_described(table: pa.Table) -> bool:
    """Whether rows and metadata describe the same own columns in the same way."""
    texts = table[OWN_COLUMNS]
    described = {text: parse_descriptions(text) for text in texts.unique().to_pylist()}
    own = [column for column in table.schema if column.name not in schema.COLUMN_NAMES]
    if {name for each in described.values() for name in each} != {column.name for column in own}:
        return False
    for column in own:
        name = column.name
        known = {text: each[name] for text, each in described.items() if name in each}
        if set(known.values()) != {parse_metadata(column.metadata)}:
            return False
        is_known = pc.is_in(texts, value_set=pa.array(list(known), texts.type))
        if pc.any(pc.and_not(pc.is_valid(table[name]), is_known)).as_py():
            return False
    return True


def _is_sorted(table: pa.Table) -> bool:
    """Whether rows are in the order of `to_arrow`: by the text of their arm, then by seed."""
    if len(table) < 2:
        return True
    starts = np.zeros(len(table), dtype=bool)  # of arms
    starts[0] = True
    for name in schema.ARM_COLUMNS:
        codes = table[name].combine_chunks().dictionary_encode("encode").indices.to_numpy()
        starts[1:] |= codes[1:] != codes[:-1]
    seeds = pc.fill_null(table["seed"], 0).to_numpy()
    if ((np.diff(seeds) < 0) & ~starts[1:]).any():
        return False
    firsts = table.select(list(schema.ARM_COLUMNS)).take(np.flatnonzero(starts)).to_pylist()
    arms = [tuple(str(value) for value in row.values()) for row in firsts]
    return all(one < other for one, other in pairwise(arms))


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
