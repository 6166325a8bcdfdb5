"""The columns of results: described with units, and checked on every row."""

import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.cell import Cell
from harness.storage import schema
from harness.storage.schema import COLUMN_NAMES, COLUMNS, CURVE_SCHEMA, SCHEMA

NATS = st.floats(0, 1e4)
PREFIXES = pytest.mark.parametrize("prefix", ["", "subset_"])
MEASURED = {
    "nelbo": "nats",
    "kl": "nats",
    "rec": "nats",
    "iwae_10": "nats",
    "iwae_100": "nats",
    "iwae_1000": "nats",
}
UNITS = MEASURED | {f"subset_{name}": unit for name, unit in MEASURED.items()}
UNITS |= {
    "train_seconds": "s",
    "score_seconds": "s",
    "iterations": "steps",
    "full_length": "steps",
    "finished": "UTC",
}
UNITS |= {"nll": "nats", "labels": "images", "batch_size": "images", "pack": "cells"}
UNITS |= {"validation": "images", "validation_nelbo": "nats", "best_step": "steps"}


def test_every_column_is_described_once() -> None:
    assert len(set(COLUMN_NAMES)) == len(COLUMNS)
    assert all(column.meaning for column in COLUMNS)
    assert len({column.meaning for column in COLUMNS}) == len(COLUMNS)


def test_units_are_told_where_a_column_has_one() -> None:
    assert {column.name: column.unit for column in COLUMNS if column.unit} == UNITS


def test_the_parquet_schema_carries_units_and_meanings() -> None:
    found = [
        # one a column
        (f.name, f.type, f.metadata[b"unit"].decode(), f.metadata[b"meaning"].decode())
        for f in SCHEMA
    ]
    assert found == [(c.name, c.type, c.unit, c.meaning) for c in COLUMNS]
    assert SCHEMA.metadata == {b"harness.storage.schema": schema.VERSION.encode()}


def test_the_design_names_these_columns() -> None:
    promised = (
        "cell grid model dataset beta labels supervision seed iterations status nelbo kl rec "
        "accuracy iwae_10 iwae_100 "
        "iwae_1000 subset_nelbo subset_kl subset_rec digit_counts train_seconds device host "
        "git_commit versions error"
    )
    assert set(promised.split()) <= set(COLUMN_NAMES)


def test_a_curve_is_in_steps_nats_and_seconds() -> None:
    units = {f.name: f.metadata.get(b"unit", b"").decode() for f in CURVE_SCHEMA}
    assert units == dict.fromkeys(("nelbo", "kl", "rec", "extra", "nll", "loss"), "nats") | {
        "step": "steps",
        "accuracy": "",
        "seconds": "s",
        "validation_nelbo": "nats",
        "validation_accuracy": "",
    }


@PREFIXES
@given(kl=NATS, rec=NATS)
def test_parts_that_add_up_are_kept_as_they_are(prefix: str, kl: float, rec: float) -> None:
    row = schema.make_row({f"{prefix}nelbo": kl + rec, f"{prefix}kl": kl, f"{prefix}rec": rec})
    assert (row[f"{prefix}nelbo"], row[f"{prefix}kl"], row[f"{prefix}rec"]) == (kl + rec, kl, rec)


@PREFIXES
@given(kl=NATS, rec=NATS, slip=st.floats(0.001, 100) | st.floats(-100, -0.001))
def test_parts_that_do_not_add_up_are_refused(
    prefix: str, kl: float, rec: float, slip: float
) -> None:
    bound = kl + rec + slip * (1 + (kl + rec) / 100)
    with pytest.raises(
        ValueError, match=rf"^cell c: {prefix}nelbo .* is not {prefix}kl .* \+ {prefix}rec"
    ):
        schema.make_row(
            {"cell": "c", f"{prefix}nelbo": bound, f"{prefix}kl": kl, f"{prefix}rec": rec}
        )


@PREFIXES
@pytest.mark.parametrize("missing", ["kl", "rec"])
def test_a_bound_without_its_parts_is_refused(prefix: str, missing: str) -> None:
    values = {
        f"{prefix}{name}": value for name, value in {"nelbo": 3.0, "kl": 1.0, "rec": 2.0}.items()
    }
    values[f"{prefix}{missing}"] = math.nan
    with pytest.raises(ValueError, match=f"{prefix}{missing} None"):
        schema.make_row({"cell": "c"} | values)


def test_a_row_has_all_columns_and_none_for_non_finite() -> None:
    row = schema.make_row({"accuracy": math.nan, "train_seconds": math.inf, "cell": "c"})
    assert tuple(row) == COLUMN_NAMES
    assert {name: value for name, value in row.items() if value is not None} == {
        "cell": "c"
    } | schema.DEFAULTS


def test_a_stray_column_is_named() -> None:
    with pytest.raises(ValueError, match=r"^not columns of the results table: elbo, loss$"):
        schema.make_row({"cell": "c", "loss": 1.0, "elbo": 2.0})


def test_a_described_column_is_kept_after_the_others() -> None:
    text = '{"width": {"unit": "", "better": null, "meaning": "how wide"}}'
    row = schema.make_row({"cell": "c", "own_columns": text, "width": 1.5})
    assert tuple(row) == (*COLUMN_NAMES, "width")
    assert row["width"] == 1.5
    assert schema.make_row({"cell": "c", "own_columns": text})["width"] is None
    with pytest.raises(ValueError, match=r"^not columns of the results table: height$"):
        schema.make_row({"cell": "c", "own_columns": text, "height": 1.5})
    with pytest.raises(pa.ArrowInvalid):
        schema.make_row({"cell": "c", "own_columns": text, "width": "wide"})


@pytest.mark.parametrize(
    "values", [{"seed": "three"}, {"cell": 3}, {"digit_counts": 7}, {"beta": "1"}]
)
def test_a_value_of_another_type_is_refused(values: dict[str, object]) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        schema.make_row(values)


def test_a_cell_fills_its_own_columns() -> None:
    cell = Cell(
        "ssvae", 3, 9, (("w", 1.5), ("z", 2)), 1.0, "kmnist", "supervised", 50, "draw-7", 10, 0.1
    )
    row = schema.describe_cell(cell)
    assert json.loads(row.pop("settings")) == {"w": 1.5, "z": 2}
    assert (
        row
        == {
            "cell": cell.id,
            "model": "ssvae",
            "seed": 3,
            "iterations": 9,
            "beta": 1.0,
            "dataset": "kmnist",
            "supervision": "supervised",
            "labels": 50,
            "label_draw": "draw-7",
            "batch_size": 10,
            "learning_rate": 0.1,
        }
        | schema.DEFAULTS
    )


def test_an_arm_is_all_of_a_cell_but_its_seed() -> None:
    assert set(schema.ARM_COLUMNS) == set(schema.describe_cell(Cell("vae", 0, 1))) - {
        "cell",
        "seed",
    }
