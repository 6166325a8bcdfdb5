"""What is read of a results folder, and what is refused: a line for each way in which it can be damaged."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.results import read
from harness.errors import BadInput
from harness.schema import SCHEMA
from harness.store import TABLE, Store
from tests.analysis.conftest import made, row


def test_all_that_lies_there(full: Store) -> None:
    found = read(full)
    assert len(found.rows) == 17
    assert set(found.rows["arm"]) == {"vae β=1", "vae β=4", "gmvae", "ssvae supervised", "ssvae semi-supervised"}
    assert len(found.points) == 15 * 4
    assert found.provenance[0]["started"] == "2026"


def test_the_table_alone_is_enough(full: Store, tmp_path: Path) -> None:
    copy = Store(tmp_path / "copy")
    copy.write(TABLE, full.read(TABLE) or b"")
    found = read(copy)
    assert found.rows["cell"].tolist() == read(full).rows["cell"].tolist()
    assert found.points.empty


def cut(key: str) -> Callable[[Store], None]:
    """Damage a file: the second half is lost."""

    def damage(store: Store) -> None:
        content = store.path(key).read_bytes()
        store.path(key).write_bytes(content[: len(content) // 2])

    return damage


def put(key: str, content: bytes) -> Callable[[Store], None]:
    """Damage a file: something else lies there."""
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


def not_whole(**values: object) -> Callable[[Store], None]:
    return lambda store: store.write_row({**row(made("vae")), **values})


CELL = made("vae").id
DAMAGES = {
    "another schema": (other_schema, "another schema"),
    "other types": (other_types, ""),
    "row without a model": (not_whole(model=None), CELL),
    "row without a status": (not_whole(status=None), CELL),
    "row of a strange status": (not_whole(status="done"), CELL),
    "row without a length": (not_whole(full_length=None), CELL),
    "settings of no object": (not_whole(settings="[1]"), "settings"),
    "settings of no JSON": (not_whole(settings="{"), "settings"),
    "versions of no object": (not_whole(versions="7"), "versions"),
    "curve cut": (cut(f"curves/{CELL}.parquet"), CELL),
    "another curve": (other_curve, CELL),
    "provenance cut": (cut("provenance/run.json"), "provenance"),
    "provenance of no object": (put("provenance/run.json", b"[1]"), "provenance"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_in_one_line(damage: str, full: Store) -> None:
    make, word = DAMAGES[damage]
    make(full)
    with pytest.raises(BadInput) as told:
        read(full)
    assert word in str(told.value)
    assert "expected" in str(told.value)
    assert "None" not in str(told.value)
    assert len(str(told.value).splitlines()) == 1


LEFT_OUT = {
    "table cut": (cut(TABLE), TABLE, 17),
    "table empty": (put(TABLE, b""), TABLE, 17),
    "row cut": (cut(f"rows/{CELL}.json"), CELL, 17),
    "row of no object": (put(f"rows/{CELL}.json", b"7"), CELL, 17),
}


@pytest.mark.parametrize("damage", LEFT_OUT)
def test_what_is_torn_is_named_and_the_rest_is_read(damage: str, full: Store) -> None:
    """A torn row leaves the one in the table, a torn table the rows; nothing is moved."""
    make, word, rows = LEFT_OUT[damage]
    make(full)
    found = read(full)
    assert len(found.rows) == rows
    assert len(found.damaged) == 1
    assert word in found.damaged[0]
    assert full.keys("damaged", "") == []


def test_no_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no results folder"):
        read(Store(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="holds no rows"):
        read(Store(tmp_path))
