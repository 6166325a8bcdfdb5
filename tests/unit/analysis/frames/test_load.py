"""Results folders are read and checked; each kind of damage is one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.frames.load import read_results
from harness.errors import InputError
from harness.storage.schema import SCHEMA
from harness.storage.store import TABLE, Store
from tests.unit.analysis.conftest import made, row


def test_all_that_is_there(full: Store) -> None:
    found = read_results(full)
    assert len(found.rows) == 17
    assert set(found.rows["arm"]) == {
        "vae β=1",
        "vae β=4",
        "gmvae",
        "ssvae supervised",
        "ssvae semi-supervised",
    }
    assert len(found.points) == 15 * 4
    assert found.provenance[0]["started"] == "2026"


def test_the_table_alone_is_enough(full: Store, tmp_path: Path) -> None:
    copy = Store(tmp_path / "copy")
    copy.write(TABLE, full.read(TABLE) or b"")
    found = read_results(copy)
    assert found.rows["cell"].tolist() == read_results(full).rows["cell"].tolist()
    assert found.points.empty


def cut(key: str) -> Callable[[Store], None]:
    """Damage a file: the second half is lost."""

    def damage(store: Store) -> None:
        content = store.path(key).read_bytes()
        store.path(key).write_bytes(content[: len(content) // 2])

    return damage


def put(key: str, content: bytes) -> Callable[[Store], None]:
    """Damage a file: replace its content."""
    return lambda store: store.write(key, content)


def other_schema(store: Store) -> None:
    pq.write_table(pa.table({"a": [1]}), store.path(TABLE))


def other_types(store: Store) -> None:
    table = pq.read_table(store.path(TABLE))
    seeds = table["seed"].cast(pa.string())
    changed = table.set_column(table.schema.get_field_index("seed"), "seed", seeds)
    pq.write_table(changed.replace_schema_metadata(SCHEMA.metadata), store.path(TABLE))


def other_curve(store: Store) -> None:
    pq.write_table(pa.table({"a": [1]}), store.path(f"curves/{made('vae').id}.parquet"))


def incomplete(**values: object) -> Callable[[Store], None]:
    return lambda store: store.write_row({**row(made("vae")), **values})


CELL = made("vae").id
DAMAGES = {
    "another schema": (other_schema, "another schema"),
    "other types": (other_types, ""),
    "row without a model": (incomplete(model=None), CELL),
    "row without a status": (incomplete(status=None), CELL),
    "row of a strange status": (incomplete(status="done"), CELL),
    "row without a length": (incomplete(full_length=None), CELL),
    "settings of no object": (incomplete(settings="[1]"), "settings"),
    "settings of no JSON": (incomplete(settings="{"), "settings"),
    "versions of no object": (incomplete(versions="7"), "versions"),
    "curve cut": (cut(f"curves/{CELL}.parquet"), CELL),
    "another curve": (other_curve, CELL),
    "provenance cut": (cut("provenance/run.json"), "provenance"),
    "provenance of no object": (put("provenance/run.json", b"[1]"), "provenance"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_reported_in_one_line(damage: str, full: Store) -> None:
    make, word = DAMAGES[damage]
    make(full)
    with pytest.raises(InputError) as caught:
        read_results(full)
    assert word in str(caught.value)
    assert "expected" in str(caught.value)
    assert "None" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


LEFT_OUT = {
    "table cut": (cut(TABLE), TABLE, 17),
    "table empty": (put(TABLE, b""), TABLE, 17),
    "row cut": (cut(f"rows/{CELL}.json"), CELL, 17),
    "row of no object": (put(f"rows/{CELL}.json", b"7"), CELL, 17),
}


@pytest.mark.parametrize("damage", LEFT_OUT)
def test_what_is_corrupt_is_named_and_the_rest_is_read(damage: str, full: Store) -> None:
    """A corrupt row is read from the table, and a corrupt table from the rows."""
    make, word, rows = LEFT_OUT[damage]
    make(full)
    found = read_results(full)
    assert len(found.rows) == rows
    assert len(found.damaged) == 1
    assert word in found.damaged[0]
    assert full.keys("damaged", "") == []


def test_no_rows_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results folder"):
        read_results(Store(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="holds no rows"):
        read_results(Store(tmp_path))


def through_pandas(store: Store) -> None:
    """Keep only names and values in the table, and remove the rows."""
    frame = pd.read_parquet(store.path(TABLE)).sample(frac=1, random_state=0)
    frame[sorted(map(str, frame))].to_parquet(store.path(TABLE))
    for key in store.keys("rows", ".json"):
        store.remove(key)


def test_a_table_that_went_through_pandas_is_read_alike(full: Store) -> None:
    expected = read_results(full)
    through_pandas(full)
    found = read_results(full)
    pd.testing.assert_frame_equal(found.rows, expected.rows)
    pd.testing.assert_frame_equal(found.points, expected.points)


@pytest.mark.parametrize("kind", [pa.float32(), pa.int32()])
def test_a_curve_of_other_widths_and_another_order_is_read(kind: pa.DataType, full: Store) -> None:
    path = full.path(f"curves/{CELL}.parquet")
    curve = pq.read_table(path)
    steps = curve["step"].cast(kind)
    pq.write_table(curve.set_column(0, "step", steps).select(curve.column_names[::-1]), path)
    pd.testing.assert_frame_equal(full.curve(CELL), curve.to_pandas())  # type: ignore[arg-type]


def hostile(store: Store, **values: Any) -> Store:
    """Replace values of one row by some that the harness never writes."""
    rows = pq.read_table(store.path(TABLE)).to_pylist()
    changed = [{**row, **values} if row["cell"] == CELL else row for row in rows]
    pq.write_table(pa.Table.from_pylist(changed, schema=SCHEMA), store.path(TABLE))
    for key in store.keys("rows", ".json"):
        store.remove(key)
    return store


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"supervision": "un"}, "has no supervision of none, supervised, semi-supervised"),
        ({"nelbo": 1e300}, r"has a nelbo beyond 1e\+12; expected less"),
        ({"train_seconds": -1e300}, r"has a train_seconds beyond 1e\+12"),
        ({"dataset": "../mnist"}, "has a dataset that cannot name a file"),
        ({"dataset": "mn\0ist"}, "has a dataset that cannot name a file"),
        ({"iterations": -1}, "has a iterations below 0"),
        ({"settings": "[" * 100_000}, "settings in the rows of .* cannot be read"),
    ],
)
def test_a_hostile_value_is_refused_in_one_line(
    values: dict[str, Any], expected: str, full: Store
) -> None:
    with pytest.raises(InputError, match=rf"\A[^\n]*{expected}[^\n]*\Z") as caught:
        read_results(hostile(full, **values))
    assert CELL in str(caught.value) or "settings" in values


@pytest.mark.parametrize("counts", [[1, 2, 3], [None] * 10, [0] * 10, [-1] * 10, [], [2**62] * 10])
def test_digit_counts_that_are_none_are_left_out_and_reported(
    counts: list[int | None], full: Store
) -> None:
    found = read_results(hostile(full, digit_counts=counts))
    reported = (
        f"digit_counts of 1 rows, that of cell '{CELL}' first, left out: they are not counts of "
        "the classes of their data set"
    )
    assert found.damaged == [reported]
    assert found.rows.loc[found.rows["cell"] == CELL, "digit_counts"].tolist() == [None]
    assert found.rows["digit_counts"].notna().sum() == 11


def test_infinity_is_no_score(full: Store) -> None:
    found = read_results(hostile(full, nelbo=float("inf"))).rows
    assert found.loc[found["cell"] == CELL, "nelbo"].isna().all()
