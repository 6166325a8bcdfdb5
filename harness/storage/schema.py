"""The columns of the results table, defined once for writers and readers.

Losses are in nats per image at β = 1, accuracies are fractions. The evaluation sets are never
mixed: columns without a prefix are over the whole test set, `subset_*` over a list of images that
the user named. A metric may bring along columns of its own (`harness.experiment.own_columns`).
"""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import truncate
from harness.experiment.cell import Cell
from harness.experiment.metrics import IWAE_SAMPLES
from harness.experiment.own_columns import (
    OWN_COLUMNS,
    OwnColumn,
    is_own_name,
    parse_descriptions,
    parse_metadata,
)

Status = Literal["ok", "failed", "diverged"]
Estimator = Literal["elbo", "exact", "none"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of the results table.

    type: its Arrow type
    unit: empty where it has none
    since: the first schema that has it
    default: its value in rows of older schemas
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    since: str = "1"
    default: str | int | None = None


def _bound_columns(prefix: str, image_set: str) -> list[Column]:
    parts = {
        "nelbo": "negative ELBO, kl + rec",
        "kl": "KL of q from the prior",
        "rec": "-log p(x|z)",
    }
    columns = [
        Column(prefix + name, pa.float64(), "nats", f"{text}, {image_set}")
        for name, text in parts.items()
    ]
    bounds = {k: f"importance-weighted bound of {k} draws, {image_set}" for k in IWAE_SAMPLES}
    return columns + [
        Column(f"{prefix}iwae_{k}", pa.float64(), "nats", text) for k, text in bounds.items()
    ]


COLUMNS: tuple[Column, ...] = (
    Column("cell", pa.string(), "", "the cell's id: a hash of what decides the training"),
    Column("grid", pa.string(), "", "name of the grid that ran it first"),
    Column("model", pa.string(), "", "registered name"),
    Column("settings", pa.string(), "", "the model's settings, JSON"),
    Column("dataset", pa.string(), "", "data set"),
    Column("beta", pa.float64(), "", "weight of the KL in the loss; never in the reported NELBO"),
    Column("labels", pa.int64(), "images", "label budget, 0 where no label is used"),
    Column(
        "label_draw",
        pa.string(),
        "",
        "where the labelled images come from: none, seed, draw-N, file-HASH",
    ),
    Column("supervision", pa.string(), "", "none, supervised, semi-supervised"),
    Column("seed", pa.int64(), "", "the cell's seed"),
    Column(
        "seeded",
        pa.string(),
        "",
        "what the seed drives, comma-separated purposes; the rest is common to all cells",
    ),
    Column("iterations", pa.int64(), "steps", "requested optimiser steps"),
    Column(
        "full_length",
        pa.int64(),
        "steps",
        "the model's own length; fewer iterations are a shortened run",
    ),
    Column("batch_size", pa.int64(), "images", "images a step"),
    Column("learning_rate", pa.float64(), "", "Adam's learning rate"),
    Column("status", pa.string(), "", "ok, failed, diverged"),
    Column("error", pa.string(), "", "why it failed or diverged"),
    Column("evaluated", pa.string(), "", "what it was scored for, comma-separated columns"),
    *_bound_columns("", "test images"),
    Column("accuracy", pa.float64(), "", "fraction of grey test images classified right"),
    *_bound_columns("subset_", "the listed images"),
    Column(
        "digit_counts",
        pa.list_(pa.int64()),
        "",
        "classes 0-9 that the digit classifier sees in prior samples, 10,000 or --samples",
    ),
    Column(
        "digit_counts_200", pa.list_(pa.int64()), "", "the same for the 200 samples of the gallery"
    ),
    Column(
        "judge_accuracy", pa.float64(), "", "accuracy of the digit classifier on grey test images"
    ),
    Column(
        "judge_accuracy_binary",
        pa.float64(),
        "",
        "accuracy of the digit classifier on binarised test images",
    ),
    Column("parameters", pa.int64(), "", "number of trained parameters"),
    Column(
        "train_seconds",
        pa.float64(),
        "s",
        "wall time of training, the pack's time shared out over its cells",
    ),
    Column("score_seconds", pa.float64(), "s", "wall time of scoring"),
    Column("pack", pa.int64(), "cells", "cells trained together with this one, itself included"),
    Column("threads", pa.int64(), "", "CPU threads granted"),
    Column("device", pa.string(), "", "what it was trained on"),
    Column("host", pa.string(), "", "host name"),
    Column("git_commit", pa.string(), "", "commit of the harness, + where files were changed"),
    Column("versions", pa.string(), "", "versions of the libraries, JSON"),
    Column("data_checksum", pa.string(), "", "SHA-256 over the data set's checksums"),
    Column("subset_checksum", pa.string(), "", "SHA-256 of the file behind subset_*"),
    Column("run", pa.string(), "", "id of the provenance file of the run that wrote the row"),
    Column("finished", pa.string(), "UTC", "when the row was written, ISO 8601"),
    Column(
        "estimator",
        pa.string(),
        "",
        "what the row holds of log p(x): elbo, exact, none; null in older rows",
        "2",
    ),
    Column(
        "nll", pa.float64(), "nats", "-log p(x) where the model has it exactly, test images", "2"
    ),
    Column(
        "data_kind",
        pa.string(),
        "",
        "kind of the pixels that were scored: binary; null in older rows",
        "2",
    ),
    Column(
        "source",
        pa.string(),
        "",
        "SHA-256 of the plug-in that trained the cell, and of another that scored it",
        "2",
    ),
    Column(
        "data_version",
        pa.string(),
        "",
        "first digits of data_checksum; empty where the name of the data set says its content",
        "3",
        "",
    ),
    Column("validation", pa.int64(), "images", "training images held out for validation", "3", 0),
    Column(
        "recipe",
        pa.string(),
        "",
        "what differs from the default recipe of training, JSON",
        "3",
        "{}",
    ),
    Column(
        "term_weights", pa.string(), "", "weights of further terms other than 1, JSON", "3", "{}"
    ),
    Column(
        "likelihood", pa.string(), "", "name of the model's attribute `likelihood`, p(x|z)", "3"
    ),
    Column(
        OWN_COLUMNS,
        pa.string(),
        "",
        "the columns that metrics add to this row, JSON: unit, better and meaning by column",
        "3",
    ),
    Column(
        "validation_nelbo",
        pa.float64(),
        "nats",
        "negative ELBO of the scored weights, or the exact -log p(x), validation images",
        "3",
    ),
    Column(
        "validation_accuracy",
        pa.float64(),
        "",
        "fraction of grey validation images that the scored weights classify right",
        "3",
    ),
    Column(
        "best_step",
        pa.int64(),
        "steps",
        "step of the scored weights, where the recipe keeps the best",
        "3",
    ),
    Column(
        "evaluation_se",
        pa.string(),
        "",
        "standard error of each score over the images it is computed on, JSON by column",
        "4",
    ),
    Column(
        "plugin_sources",
        pa.string(),
        "",
        "SHA-256 of the plug-ins of the data set and of metrics, JSON by name",
        "4",
    ),
    Column("search", pa.string(), "", "the search it belongs to: a hash; else empty", "4", ""),
    Column(
        "stage",
        pa.string(),
        "",
        "search: a trial, never scored on test images; final: a winner's training; else empty",
        "4",
        "",
    ),
    Column("study", pa.int64(), "", "number of the independent search", "4", 0),
    Column("trial", pa.int64(), "", "number of the point that its study drew", "4", 0),
    Column("rung", pa.int64(), "", "number of shorter trainings of the trial before", "4", 0),
    Column(
        "search_spec",
        pa.string(),
        "",
        "method, metric, trials and axes of the search, JSON",
        "4",
    ),
    Column("split", pa.int64(), "", "which draw of the validation images", "5", 0),
)
COLUMN_NAMES = tuple(column.name for column in COLUMNS)
DEFAULTS = {column.name: column.default for column in COLUMNS if column.default is not None}
VERSION = "5"  # tables of schemas 1 to 4 can be read; later columns have their default there
SCHEMA = pa.schema(
    [pa.field(c.name, c.type, metadata={"unit": c.unit, "meaning": c.meaning}) for c in COLUMNS],
    metadata={"harness.storage.schema": VERSION},
)
CURVE_SCHEMA = pa.schema(
    [
        pa.field("step", pa.int64(), metadata={"unit": "steps"}),
        pa.field(
            "nelbo",
            pa.float64(),
            metadata={"unit": "nats", "meaning": "mean over the steps since the last point"},
        ),
        pa.field("kl", pa.float64(), metadata={"unit": "nats"}),
        pa.field("rec", pa.float64(), metadata={"unit": "nats"}),
        pa.field(
            "extra",
            pa.float64(),
            metadata={"unit": "nats", "meaning": "what the loss adds to the bound"},
        ),
        pa.field(
            "accuracy",
            pa.float64(),
            metadata={
                "meaning": "grey test images, watched, never selected on; null with validation"
            },
        ),
        pa.field(
            "seconds", pa.float64(), metadata={"unit": "s", "meaning": "training time so far"}
        ),
        pa.field(
            "nll",
            pa.float64(),
            metadata={"unit": "nats", "meaning": "exact -log p(x)", "since": "2"},
        ),
        pa.field(
            "loss",
            pa.float64(),
            metadata={"unit": "nats", "meaning": "what training minimises", "since": "2"},
        ),
        pa.field(
            "validation_nelbo",
            pa.float64(),
            metadata={
                "unit": "nats",
                "meaning": "validation images, or the exact -log p(x), fixed noise",
                "since": "3",
            },
        ),
        pa.field(
            "validation_accuracy",
            pa.float64(),
            metadata={"meaning": "grey validation images", "since": "3"},
        ),
    ]
)
# Columns that older tables and curves lack; they are read as null. A later column of a curve has
# `since` in its metadata.
LATER_COLUMNS = frozenset(column.name for column in COLUMNS if column.since != "1")
LATER_CURVE_COLUMNS = frozenset(
    field.name for field in CURVE_SCHEMA if field.metadata.get(b"since", b"1") != b"1"
)
PANDAS_INDEX = re.compile(r"__index_level_\d+__")  # the column in which pandas stores an index
# An arm is all seeds of one setting, so its columns are those of a cell without the seed.
ARM_COLUMNS = tuple(f.name for f in fields(Cell) if f.name != "seed")
# columns that hold name-value pairs of a cell as JSON
PAIR_COLUMNS = ("settings", "recipe", "term_weights")
SUM_TOLERANCE = 1e-6


def describe_cell(cell: Cell) -> Row:
    """The columns that describe a cell."""
    values = {name: value for name, value in asdict(cell).items() if name in COLUMN_NAMES}
    texts = {name: json.dumps(dict(getattr(cell, name)), sort_keys=True) for name in PAIR_COLUMNS}
    return values | texts | {"cell": cell.id}


def cell_of(row: Row) -> Cell:
    """The cell that a row is of."""
    pairs = {name: tuple(sorted(json.loads(row[name]).items())) for name in PAIR_COLUMNS}
    return Cell(seed=row["seed"], **{name: row[name] for name in ARM_COLUMNS} | pairs)


def make_row(values: Mapping[str, Any]) -> Row:
    """All columns in order, None where no value is given, then those that `own_columns` describes.

    ValueError for an unknown column and for parts that do not add up.

    >>> make_row({"cell": "c", "nelbo": 99.06, "kl": 17.18, "rec": 81.25})
    Traceback (most recent call last):
    ...
    ValueError: cell c: nelbo 99.06 is not kl 17.18 + rec 81.25
    """
    row = complete_row(values)
    check_types([row])
    return row


def complete_row(values: Mapping[str, Any]) -> Row:
    """`make_row` without the check of types, which many rows share in `check_types`."""
    own = _describe_row(values.get(OWN_COLUMNS))
    unknown = set(values) - set(COLUMN_NAMES) - set(own)
    if unknown:
        raise ValueError(f"not columns of the results table: {', '.join(sorted(unknown))}")
    complete = {
        name: _non_finite_to_none(
            DEFAULTS.get(name) if (value := values.get(name)) is None else value
        )
        for name in (*COLUMN_NAMES, *sorted(own))
    }
    for prefix in ("", "subset_"):
        nelbo, kl, rec = (complete[prefix + part] for part in ("nelbo", "kl", "rec"))
        if nelbo is not None and not adds_up(nelbo, kl, rec):
            raise ValueError(
                f"cell {complete['cell']}: {prefix}nelbo {nelbo} is not {prefix}kl {kl} + "
                f"{prefix}rec {rec}"
            )
    return complete


def check_types(rows: Sequence[Row]) -> None:
    """Check that each value of complete rows has the type of its column.

    Raises what Arrow does: ArrowException, TypeError, ValueError or OverflowError.
    """
    own: dict[str, OwnColumn] = {}
    for row in rows:
        own |= parse_descriptions(row[OWN_COLUMNS])
    # of one row, a table takes three times as long
    pa.array(rows, type=pa.struct(list(extend_schema(own))))


def extend_schema(own: Mapping[str, OwnColumn], expected: pa.Schema = SCHEMA) -> pa.Schema:
    """The schema with a float column for each of these, described in its metadata, by name."""
    for name in sorted(own):
        expected = expected.append(pa.field(name, pa.float64(), metadata=own[name].to_metadata()))
    return expected


def _describe_row(text: str | None) -> dict[str, OwnColumn]:
    """The columns that a row describes; ValueError for one that every table has."""
    own = parse_descriptions(text)
    taken = sorted(set(own) & set(COLUMN_NAMES))
    if taken:
        raise ValueError(f"{OWN_COLUMNS} describes {taken[0]}, a column that every table has")
    return own


def infer_estimator(rec: float | None, kl: float | None) -> Estimator:
    """What the means rec and kl over images, in nats, say about log p(x).

    A bound of exactly 0 cannot be one, as images are discrete: "none". A KL of exactly 0 leaves no
        gap to log p(x): "exact".

    >>> infer_estimator(80.4, 19.3), infer_estimator(88.0, 0.0)
    ('elbo', 'exact')
    >>> infer_estimator(0.0, 0.0), infer_estimator(36.8, None)
    ('none', 'none')
    """
    if rec is None or kl is None or rec == kl == 0:
        return "none"
    return "exact" if kl == 0 else "elbo"


def adds_up(
    nelbo: float, kl: float | None, rec: float | None, tolerance: float = SUM_TOLERANCE
) -> bool:
    """Whether NELBO = KL + reconstruction, to `tolerance` relative to the NELBO."""
    return (
        kl is not None
        and rec is not None
        and math.isclose(nelbo, kl + rec, rel_tol=tolerance, abs_tol=tolerance)
    )


def is_known_version(version: str | None) -> bool:
    """Whether a table of this schema can be read; pandas drops the version, which gives None."""
    return version is None or version in {str(number) for number in range(1, int(VERSION) + 1)}


def conform_to_schema(
    table: pa.Table, expected: pa.Schema = SCHEMA, optional: Collection[str] = LATER_COLUMNS
) -> pa.Table:
    """The columns of `expected`, in order and type, of a table that others may have written.

    optional: columns that may be missing; they are null then

    Accepted are another order, pandas' index, text and lists of another width, numbers that became
    floats, nan and infinity; and, where `expected` has `own_columns`, further columns of numbers
    that are described by their metadata or by a row. ValueError names a column that is missing,
    unknown, duplicated or of another type.
    """
    table = table.drop_columns(
        [name for name in table.column_names if PANDAS_INDEX.fullmatch(name)]
    )
    own = _describe_table(table) if OWN_COLUMNS in expected.names else {}
    expected, optional = extend_schema(own, expected), {*optional, *own}
    names = table.column_names
    missing = [name for name in expected.names if name not in names and name not in optional]
    unexpected = [name for name in names if name not in expected.names]
    duplicated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    for problem, offending in (
        ("no column", missing),
        ("a strange column", unexpected),
        ("twice the column", duplicated),
    ):
        if offending:
            raise ValueError(f"it has {problem} {truncate(', '.join(offending))}")
    columns = [
        table[f.name] if f.name in names else pa.chunked_array([pa.nulls(len(table))])
        for f in expected
    ]
    return pa.table([_cast(*each) for each in zip(columns, expected, strict=True)], schema=expected)


def _describe_table(table: pa.Table) -> dict[str, OwnColumn]:
    """The columns of metrics that a table describes; the metadata counts before the rows."""
    rows: dict[str, OwnColumn] = {}
    if table.column_names.count(OWN_COLUMNS) == 1:
        for text in pc.unique(table[OWN_COLUMNS].combine_chunks()).to_pylist():
            rows |= _describe_row(text) if isinstance(text, str) else {}
    fields = {f.name: parse_metadata(f.metadata) for f in table.schema if is_own_name(f.name)}
    return rows | {
        name: column
        for name, column in fields.items()
        if column is not None and name not in COLUMN_NAMES
    }


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A column in the type of a field, without loss; ValueError if that is impossible."""
    if not _is_convertible(column.type, field.type):
        raise ValueError(f"its column {field.name} holds {column.type}; expected {field.type}")
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    try:
        converted = column.cast(field.type)
        default = DEFAULTS.get(field.name)
        return converted if default is None else pc.fill_null(converted, default)
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"its column {field.name} is not {field.type} throughout ({reason})"
        ) from None


def _is_convertible(actual: pa.DataType, expected: pa.DataType) -> bool:
    """Whether values of a type are text, numbers or lists of numbers like `expected`.

    The width of the type does not matter.
    """
    kinds = pa.types
    if kinds.is_dictionary(actual):
        return kinds.is_string(expected) and _is_convertible(actual.value_type, expected)
    if kinds.is_null(actual):
        return True
    if kinds.is_string(expected):
        return bool(
            kinds.is_string(actual) or kinds.is_large_string(actual) or kinds.is_string_view(actual)
        )
    if kinds.is_list(expected):
        lists = (
            kinds.is_list(actual) or kinds.is_large_list(actual) or kinds.is_fixed_size_list(actual)
        )
        return bool(lists) and _is_convertible(actual.value_type, expected.value_type)
    return bool(kinds.is_integer(actual) or kinds.is_floating(actual))


def _non_finite_to_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
