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


def holed(store: Store) -> None:
    """The bytes in the middle of the table are gone, its ends are whole."""
    content = (store.read(TABLE) or b"").replace(made("vae").id.encode(), b"\xff" * 16)
    middle = len(content) // 4
    store.path(TABLE).write_bytes(content[:middle] + b"\xff" * 200 + content[middle + 200 :])


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
    "table cut": (cut(TABLE), "results.parquet"),
    "table empty": (put(TABLE, b""), "results.parquet"),
    "table with a hole": (holed, ""),
    "another schema": (other_schema, "another schema"),
    "other types": (other_types, ""),
    "row cut": (cut(f"rows/{CELL}.json"), CELL),
    "row of no object": (put(f"rows/{CELL}.json", b"7"), CELL),
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


def test_no_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no results folder"):
        read(Store(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="holds no rows"):
        read(Store(tmp_path))
