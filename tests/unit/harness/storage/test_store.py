"""The store: contents are read back as written, even if several processes write."""

import io
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError, StorageError
from harness.experiment.own_columns import OwnColumn, format_descriptions
from harness.experiment.provenance import utc_now
from harness.storage import rows as rows_module
from harness.storage import schema
from harness.storage.artifacts import ArmName
from harness.storage.rows import to_arrow
from harness.storage.schema import COLUMN_NAMES, Row
from harness.storage.store import TABLE, Store

CELLS = ("a", "b", "c", "d")
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pa.string(): st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    pa.int64(): st.integers(0, 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.list_(pa.int64()): st.lists(st.integers(0, 10_000), max_size=10),
}
FIELDS = {
    c.name: st.none() | VALUES[c.type]
    for c in schema.COLUMNS
    if not c.name.endswith(("nelbo", "kl", "rec", "own_columns"))
}
SHARPNESS = OwnColumn("edges", "higher", "how sharp samples are")
SPREAD = OwnColumn("", None, "how far samples spread")
# as a float, which pandas makes of integers beside nulls
EXACT = {**VALUES, pa.int64(): st.integers(0, 2**53)}
VALUED = st.fixed_dictionaries(
    {},
    optional={
        c.name: st.none() | EXACT[c.type]
        for c in schema.COLUMNS
        if c.name in FIELDS and c.name != "cell"
    },
)
OWN = st.dictionaries(st.sampled_from(["sharpness", "spread"]), st.none() | VALUES[pa.float64()])


def with_own(values: dict[str, Any], own: dict[str, float | None]) -> dict[str, Any]:
    """The values of a row with columns of its own."""
    known = {"sharpness": SHARPNESS, "spread": SPREAD}
    described = format_descriptions({name: known[name] for name in own})
    return values | own | {"own_columns": described}


@pytest.fixture
def store(address: str) -> Store:
    """An empty store in a folder, and in a bucket."""
    return Store(address)


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    """An empty store in a folder."""
    return Store(tmp_path / "results")


def row(cell: str, seed: int = 0, **values: Any) -> Row:
    return schema.make_row({"cell": cell, "model": "vae", "seed": seed, "status": "ok"} | values)


def table(store: Store) -> pa.Table:
    return pq.read_table(io.BytesIO(store.read(TABLE) or b""))


def refused(expected: str) -> AbstractContextManager[Any]:
    return pytest.raises(InputError, match=rf"\A[^\n]*{expected}[^\n]*\Z")


# --- rows -----------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(CELLS),
        st.builds(with_own, st.fixed_dictionaries({}, optional=FIELDS), OWN),
        min_size=1,
    )
)
def test_rows_are_read_back_before_and_after_compaction(
    found: dict[str, Row],
) -> None:
    written = {cell: schema.make_row(values | {"cell": cell}) for cell, values in found.items()}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for values in written.values():
            store.write_row(values)
        assert store.rows() == written
        store.compact()
        alone = Store(Path(folder) / "copy")
        alone.write(TABLE, store.read(TABLE) or b"")
        assert store.rows() == alone.rows() == written
        assert {cell: alone.row(cell) for cell in written} == written
        for place in (store, alone):
            expected = to_arrow(place.rows().values()).to_pandas()
            pd.testing.assert_frame_equal(place.frame(), expected)


def test_a_frame_is_read_by_columns_without_a_row(
    folder: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (2, 0, 1):
        own = with_own({}, {"sharpness": 0.5} if seed else {})
        folder.write_row(row(f"c{seed}", seed, nelbo=99.5, kl=19.5, rec=80.0, **own))
    folder.compact()
    alone = Store(tmp_path / "copy")
    alone.write(TABLE, folder.read(TABLE) or b"")
    expected = folder.frame()
    assert expected["seed"].tolist() == [0, 1, 2]
    monkeypatch.setattr(rows_module, "from_arrow", lambda *_: 1 / 0)
    pd.testing.assert_frame_equal(alone.frame(), expected)
    with pytest.raises(ZeroDivisionError):
        len(alone.rows())


SORTED = [row("a", 0), row("b", 1, **with_own({}, {"spread": 1.0})), row("c", 2)]


@pytest.mark.parametrize(
    "rows",
    [
        SORTED[::-1],
        [SORTED[0], *SORTED],
        [row("a", 0, beta=2.0), row("b", 0, beta=1.0)],
        [row("a", 0, beta=1.0), row("b", 0, beta=2.0), row("c", 0, beta=1.0)],
        [row("a", 0), row("b", 1) | {"spread": 1.0}, SORTED[1] | {"cell": "c", "seed": 2}],
    ],
    ids=["seeds", "twice", "arms", "an arm again", "a value that no row describes"],
)
def test_a_table_that_is_not_as_we_write_it_is_read_by_rows(rows: list[Row], folder: Store) -> None:
    """It gives the same frame as a table of ours."""
    own = {"spread": SPREAD} if any("spread" in each for each in rows) else {}
    made = pa.Table.from_pylist(rows, schema=schema.extend_schema(own))
    assert not rows_module.is_as_written(made)
    folder.write(TABLE, parquet_of(made))
    expected = to_arrow(folder.rows().values()).to_pandas()
    pd.testing.assert_frame_equal(folder.frame(), expected)


def test_a_table_that_is_as_we_write_it_is_known() -> None:
    assert rows_module.is_as_written(to_arrow(SORTED))
    assert rows_module.is_as_written(to_arrow(SORTED[:1]))


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([*CELLS, "compact", "reopen"])), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_no_interleaving_of_several_stores_loses_a_row(steps: list[tuple[int, str]]) -> None:
    """Writes are numbered; every cell ends with its last one, in rows and table.

    It does not matter which store writes it.
    """
    last: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        stores = [Store(folder) for _ in range(3)]
        for number, (who, what) in enumerate(steps):
            if what == "compact":
                stores[who].compact()
            elif what == "reopen":
                stores[who] = Store(folder)
            else:
                stores[who].write_row(row(what, seed=number, finished=f"{number:04}"))
                last[what] = number
            assert {cell: found["seed"] for cell, found in stores[who].rows().items()} == last
        stores[0].compact()
        assert {found["cell"]: found["seed"] for found in table(stores[0]).to_pylist()} == last
        assert {cell: (stores[1].row(cell) or {})["seed"] for cell in last} == last


def test_a_row_written_twice_keeps_the_last(store: Store) -> None:
    store.write_row(row("a", status="failed"))
    store.write_row(row("a"))
    assert store.rows() == {"a": row("a")}
    assert len(store.keys("rows", ".json")) == 1


def test_of_a_fragment_and_a_copied_table_the_later_counts(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    for cell, ours, theirs in (
        ("a", "2026-01", "2026-02"),
        ("b", "2026-02", "2026-01"),
        ("c", "2026-01", "2026-01"),
    ):
        store.write_row(row(cell, finished=ours, host="ours"))
        other.write_row(row(cell, finished=theirs, host="theirs"))
    other.compact()
    store.write(TABLE, other.read(TABLE) or b"")
    expected = {"a": "theirs", "b": "ours", "c": "ours"}
    assert {cell: found["host"] for cell, found in store.rows().items()} == expected
    assert {cell: (store.row(cell) or {})["host"] for cell in expected} == expected


def test_a_row_is_checked_before_it_is_written(store: Store) -> None:
    for bad in (
        {"cell": "a", "nelbo": 99.06, "kl": 17.18, "rec": 81.25},
        {"cell": "a", "loss": 1.0},
    ):
        with pytest.raises(ValueError, match=r"nelbo|loss"):
            store.write_row(bad)
    assert store.rows() == {}


def test_an_empty_store_has_no_rows_and_an_empty_table(store: Store) -> None:
    assert (
        store.rows(),
        store.row("a"),
        store.curve("a"),
        store.pictures("samples", "a"),
        store.provenance(),
    ) == (
        {},
        None,
        None,
        None,
        [],
    )
    store.compact()
    assert table(store).shape == (0, len(COLUMN_NAMES))
    assert store.rows() == {}


def test_the_frame_is_sorted_by_arm_and_seed(store: Store) -> None:
    for cell, model, seed in (("a", "vae", 10), ("b", "vae", 9), ("c", "gmvae", 11)):
        store.write_row(row(cell, seed, model=model))
    frame = store.frame()
    assert list(frame.columns) == list(COLUMN_NAMES)
    assert list(zip(frame.model, frame.seed, strict=True)) == [
        ("gmvae", 11),
        ("vae", 9),
        ("vae", 10),
    ]


def test_the_table_tells_units(store: Store) -> None:
    store.write_row(row("a"))
    store.compact()
    field = table(store).schema.field("nelbo")
    assert field.metadata[b"unit"] == b"nats"


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 2, 3, 8])
def test_corrupt_row_files_do_not_hide_those_read_with_them(
    at_once: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.storage.store.ROWS_AT_ONCE", at_once)
    for name in "acdfg":
        store.write_row(row(name))
    for name, content in (("b", b"{"), ("e", b'{"cell": "e", "seed": "x"}')):
        store.write(f"rows/{name}.json", content)
    found = store.scan()
    assert found.rows == {name: row(name) for name in "acdfg"}
    assert list(found.corrupt) == ["rows/b.json", "rows/e.json"]


def test_rows_that_may_not_be_listed_are_an_error(
    folder: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not an empty folder, whose cells would all be computed again."""
    folder.write_row(row("a"))

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("harness.storage.local.os.scandir", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        folder.scan()


def test_row_files_may_be_links_within_the_folder(folder: Store, tmp_path: Path) -> None:
    folder.write_row(row("a"))
    rows = Path(folder.name) / "rows"
    (rows / "a.json").rename(rows / "first")
    (rows / "a.json").symlink_to(rows / "first")
    assert folder.rows() == {"a": row("a")}
    (rows / "a.json").unlink()
    (tmp_path / "elsewhere").write_text("secret")
    (rows / "a.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leaves the results folder"):
        folder.rows()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        json.dumps(row("a")).encode()[:-9],
        b"[]",
        b'""',
        b"null",
        b"3",
        b"\xff",
        b"[" * 100_000,
        b'{"cell": "a", "seed": "x"}',
        b'{"cell": "a", "seed": 100000000000000000000}',
        b'{"cell": "a", "loss": 1}',
        b'{"cell": "a", "nelbo": 3, "kl": 1, "rec": 1}',
    ],
)
def test_a_corrupt_row_file_is_named_and_quarantined(store: Store, content: bytes) -> None:
    store.write_row(row("b"))
    store.write("rows/a.json", content)
    assert store.row("a") is None
    found = store.scan()
    assert found.rows == {"b": row("b")}
    assert list(found.corrupt) == ["rows/a.json"]
    told = f"{store.name}/rows/a.json is not a whole row ("
    assert found.corrupt["rows/a.json"].startswith(told)
    assert "\n" not in found.corrupt["rows/a.json"]
    store.quarantine(found.corrupt)
    assert store.keys("rows", ".json") == ["rows/b.json"]
    assert [store.read(key) for key in store.keys("damaged", "a.json")] == [content]
    assert store.scan().corrupt == {}


def test_a_fragment_under_another_name_is_torn(store: Store) -> None:
    store.write("rows/a.json", json.dumps(row("b")).encode())
    found = store.scan()
    assert (found.rows, list(found.corrupt)) == ({}, ["rows/a.json"])
    assert "it holds that of cell b" in found.corrupt["rows/a.json"]


def test_a_row_that_was_written_whole_meanwhile_is_not_set_aside(store: Store) -> None:
    store.write("rows/a.json", b"{")
    torn = store.scan().corrupt
    store.write_row(row("a"))
    store.quarantine(torn)
    assert store.rows() == {"a": row("a")}
    assert store.keys("damaged", "") == []


def test_a_torn_fragment_leaves_its_cell_to_what_the_table_holds(store: Store) -> None:
    store.write_row(row("a"))
    store.compact()
    store.write("rows/a.json", (store.read("rows/a.json") or b"")[:40])
    found = store.scan()
    assert (found.rows, list(found.corrupt)) == ({"a": row("a")}, ["rows/a.json"])


def test_a_torn_table_is_made_again_from_the_fragments_and_kept(store: Store) -> None:
    for cell in "ab":
        store.write_row(row(cell))
        store.write_curve(cell, [])
    store.compact()
    torn = (store.read(TABLE) or b"")[:99]
    store.write(TABLE, torn)
    found = store.scan()
    assert set(found.rows) == {"a", "b"}
    assert "made again from rows/" in found.corrupt[TABLE]
    store.compact()
    assert table(store)["cell"].to_pylist() == ["a", "b"]
    assert [store.read(key) for key in store.keys("damaged", TABLE)] == [torn]
    assert store.scan().corrupt == {}


def test_a_corrupt_table_that_cells_need_is_refused(store: Store) -> None:
    """Cell b has a curve and no row file, so its row was only in the table."""
    store.write_row(row("a"))
    store.write_curve("b", [])
    store.write(TABLE, b"PAR1")
    for look in (store.scan, store.compact):
        with refused(f"{TABLE} is not a parquet file"):
            look()
    assert store.read(TABLE) == b"PAR1"


# --- scale ----------------------------------------------------------------------------------------


def test_fragments_that_the_table_holds_are_not_read_again(
    folder: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only old ones are skipped.

    A row file of the last minute could be replaced without changing its version, where clocks have
    a resolution of seconds.
    """
    for number, cell in enumerate("abcd"):
        folder.write_row(row(cell, finished="1"))
        os.utime(folder.path(f"rows/{cell}.json"), (number * 40, number * 40))
    folder.compact()
    read = watched(folder, monkeypatch)
    assert set(folder.rows()) == set("abcd")
    assert read.pop() == ["rows/c.json", "rows/d.json"]
    folder.write_row(row("a", finished="2"))
    assert folder.rows()["a"]["finished"] == "2"
    assert read.pop() == ["rows/a.json", "rows/c.json", "rows/d.json"]


def test_a_table_from_elsewhere_spares_no_fragment(folder: Store, tmp_path: Path) -> None:
    """Both folders have cell a, written at the same time with the same length.

    Ours is the later row.
    """
    other = Store(tmp_path / "other")
    for store, finished in ((folder, "2"), (other, "1")):
        for cell, moment in (("a", 0), ("b", 100)):
            store.write_row(row(cell, finished=finished))
            os.utime(store.path(f"rows/{cell}.json"), (moment, moment))
    other.compact()
    folder.write(TABLE, other.read(TABLE) or b"")
    assert {found["finished"] for found in folder.rows().values()} == {"2"}


def watched(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The keys of all later calls of `read_all`."""
    read: list[list[str]] = []
    read_all = store.backend.read_all

    def told(keys: Iterable[str]) -> dict[str, bytes]:
        read.append(list(keys))
        return read_all(read[-1])

    monkeypatch.setattr(store.backend, "read_all", told)
    return read


def parquet_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def changed(name: str, values: list[Any]) -> pa.Table:
    """Our table with other values in one column."""
    ours = pa.Table.from_pylist([row("a")], schema=schema.SCHEMA)
    return ours.set_column(ours.schema.get_field_index(name), name, [pa.array(values)])


def foreign(change: str) -> pa.Table:
    """A table that differs slightly from ours."""
    ours = pa.Table.from_pylist([row("a")], schema=schema.SCHEMA)
    tables = {
        "an old version": lambda: ours.replace_schema_metadata({"harness.storage.schema": "0"}),
        "a newer version": lambda: ours.replace_schema_metadata({"harness.storage.schema": "6"}),
        "fewer columns": lambda: ours.drop_columns(["host"]),
        "another name": lambda: ours.rename_columns(["id", *COLUMN_NAMES[1:]]),
        "a strange column": lambda: ours.append_column("fid", pa.array([1.0])),
        "one column twice": lambda: ours.append_column("host", ours["host"]),
        "bytes for text": lambda: changed("cell", [b"a"]),
        "text for a number": lambda: changed("nelbo", ["99"]),
        "text for an integer": lambda: changed("seed", ["0"]),
        "a truth value": lambda: changed("seed", [True]),
        "half a seed": lambda: changed("seed", [1.5]),
        "a seed of 65 bits": lambda: changed("seed", [2.0**64]),
        "half a digit": lambda: changed("digit_counts", [[1.5]]),
        "lists of text": lambda: changed("digit_counts", [["1"]]),
        "no cell": lambda: changed("cell", [None]),
    }
    return tables[change]()


FOREIGN = {
    "an old version": "0, which this harness does not know",
    "a newer version": "6, which this harness does not know",
    "fewer columns": "no column host",
    "another name": "no column cell",
    "a strange column": "strange column fid",
    "one column twice": "twice the column host",
    "bytes for text": "column cell holds binary; expected string",
    "text for a number": "column nelbo holds string; expected double",
    "text for an integer": "column seed holds string; expected int64",
    "a truth value": "column seed holds bool; expected int64",
    "half a seed": "column seed is not int64 throughout .*1.5",
    "a seed of 65 bits": "column seed is not int64 throughout",
    "half a digit": "column digit_counts is not list<.*int64> throughout",
    "lists of text": "column digit_counts holds list<.*string>; expected list<.*int64>",
    "no cell": "a row without a cell",
}


@pytest.mark.parametrize("change", FOREIGN)
def test_a_table_of_another_schema_is_refused_and_left_untouched(store: Store, change: str) -> None:
    content = parquet_of(foreign(change))
    store.write(TABLE, content)
    store.write_row(row("b"))
    for look in (store.rows, store.compact, store.frame):
        with refused(
            rf"{TABLE} has another schema: .*{FOREIGN[change]}.*; expected {TABLE} of this harness"
        ):
            look()
    assert store.read(TABLE) == content


def test_a_table_of_the_first_schema_is_read_with_nulls(store: Store) -> None:
    older = pa.Table.from_pylist([row("a")], schema=schema.SCHEMA).drop_columns(
        list(schema.LATER_COLUMNS)
    )
    store.write(TABLE, parquet_of(older.replace_schema_metadata({"harness.storage.schema": "1"})))
    assert store.rows() == {"a": row("a")}
    later = {"estimator", "nll", "data_kind", "source", "own_columns", "recipe", "validation"}
    assert later <= schema.LATER_COLUMNS


def test_a_table_of_the_second_schema_is_read_with_nulls(store: Store) -> None:
    older = pa.Table.from_pylist([row("a")], schema=schema.SCHEMA).drop_columns(["own_columns"])
    store.write(TABLE, parquet_of(older.replace_schema_metadata({"harness.storage.schema": "2"})))
    assert store.rows() == {"a": row("a")}


# --- columns that metrics bring along -------------------------------------------------------------


def test_a_column_of_a_metric_is_a_described_column_of_floats(store: Store) -> None:
    store.write_row(row("a", **with_own({}, {"sharpness": 0.5})))
    store.write_row(row("b"))
    store.compact()
    found = table(store)
    field = found.schema.field("sharpness")
    assert field.type == pa.float64()
    assert {b"unit": b"edges", b"better": b"higher"}.items() <= field.metadata.items()
    assert field.metadata[b"meaning"] == b"how sharp samples are"
    assert found["sharpness"].to_pylist() == [0.5, None]
    assert json.loads(found["own_columns"][0].as_py()) == {
        "sharpness": {"unit": "edges", "better": "higher", "meaning": "how sharp samples are"}
    }
    assert set(store.rows()["b"]) == set(COLUMN_NAMES)
    assert store.frame()["sharpness"].tolist()[:1] == [0.5]


def test_a_column_that_only_its_metadata_describes_is_read(folder: Store) -> None:
    field = pa.field("spread", pa.float64(), metadata=SPREAD.to_metadata())
    ours = pa.Table.from_pylist([row("a"), row("b")], schema=schema.SCHEMA)
    folder.write(TABLE, parquet_of(ours.append_column(field, pa.array([2.0, None]))))
    expected = row("a", **with_own({}, {"spread": 2.0}))
    assert folder.rows() == {"a": expected, "b": row("b")}


def test_the_metadata_has_the_description_of_the_later_row(folder: Store) -> None:
    for cell, column in (("a", SPREAD), ("b", SHARPNESS)):
        text = format_descriptions({"width": column})
        folder.write_row(row(cell, finished=cell, width=1.0, own_columns=text))
    folder.compact()
    assert table(folder).schema.field("width").metadata[b"unit"] == b"edges"


@pytest.mark.parametrize(
    ("column", "metadata", "expected"),
    [
        ("fid", {"unit": "", "meaning": "no direction"}, "strange column fid"),
        ("fid", {"unit": "", "meaning": "", "better": "left"}, "strange column fid"),
        ("FID", SPREAD.to_metadata(), "strange column FID"),
        ("arm", SPREAD.to_metadata(), "strange column arm"),
    ],
)
def test_a_column_that_is_not_described_is_refused(
    folder: Store, column: str, metadata: dict[str, str], expected: str
) -> None:
    ours = pa.Table.from_pylist([row("a")], schema=schema.SCHEMA)
    field = pa.field(column, pa.float64(), metadata=metadata)
    folder.write(TABLE, parquet_of(ours.append_column(field, pa.array([2.0]))))
    with refused(expected):
        folder.rows()


def test_a_column_of_a_metric_holds_numbers(folder: Store) -> None:
    ours = pa.Table.from_pylist([row("a")], schema=schema.SCHEMA)
    field = pa.field("spread", pa.string(), metadata=SPREAD.to_metadata())
    folder.write(TABLE, parquet_of(ours.append_column(field, pa.array(["wide"]))))
    with refused("column spread holds string; expected double"):
        folder.rows()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[", "expected descriptions by column"),
        ("[" * 100_000, "expected descriptions by column"),
        ("[1]", "expected descriptions by column"),
        ('{"Fid": {}}', "describes 'Fid'; expected a lower-case letter"),
        ('{"fid": {"unit": ""}}', "expected unit, better"),
        ('{"fid": {"unit": "", "better": "left", "meaning": ""}}', "expected unit, better"),
        ('{"nelbo": {"unit": "", "better": null, "meaning": ""}}', "that every table has"),
    ],
)
def test_a_description_of_another_form_is_refused(folder: Store, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        row("a", own_columns=text)
    folder.write(TABLE, parquet_of(changed("own_columns", [text])))
    with refused(expected):
        folder.rows()


def test_column_order_and_a_missing_version_do_not_matter(store: Store) -> None:
    ours = pa.Table.from_pylist([row("a"), row("b")], schema=schema.SCHEMA)
    store.write(TABLE, parquet_of(ours.select(COLUMN_NAMES[::-1]).replace_schema_metadata()))
    assert store.rows() == {"a": row("a"), "b": row("b")}


@settings(max_examples=25, deadline=None)
@given(
    rows=st.dictionaries(st.sampled_from(CELLS), st.builds(with_own, VALUED, OWN), min_size=1),
    split=st.integers(0, 4),
)
def test_rows_survive_pandas(rows: dict[str, dict[str, Any]], split: int) -> None:
    """A table is filtered, concatenated and shuffled in pandas.

    Pandas turns empty columns into floats, and drops the descriptions in the metadata.
    """
    with tempfile.TemporaryDirectory() as place:
        store, path = Store(place), Path(place, TABLE)
        for cell, values in rows.items():
            store.write_row(
                {**values, "cell": cell, "seed": 3, "nelbo": 99.5, "kl": 19.5, "rec": 80.0}
            )
        store.compact()
        expected = store.rows()
        for cell in expected:
            store.remove(f"rows/{cell}.json")
        frame = pd.read_parquet(path)
        frame = pd.concat([frame[split:], frame[:split]])[frame.columns[::-1]]
        frame.assign(seed=frame["seed"].astype(float)).to_parquet(path)
        assert Store(place).rows() == expected


@pytest.mark.parametrize("index", [None, ["x"]], ids=["no index", "an index"])
def test_what_pandas_adds_and_widens_is_read(folder: Store, index: list[str] | None) -> None:
    frame = pd.DataFrame([row("a", digit_counts=[1000] * 10, accuracy=0.5)], index=index)
    frame["digit_counts"] = pd.Series([np.full(10, 1000.0)], frame.index)
    wide = pa.Table.from_pandas(frame, preserve_index=True)
    wide = wide.set_column(0, "cell", wide["cell"].cast(pa.large_string()))
    folder.write(TABLE, parquet_of(wide))
    assert folder.rows() == {"a": row("a", digit_counts=[1000] * 10, accuracy=0.5)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_in_a_table_is_null_as_in_a_row(folder: Store, value: float) -> None:
    folder.write(TABLE, parquet_of(changed("nelbo", [value])))
    assert folder.rows()["a"]["nelbo"] is None


def test_of_one_cell_twice_in_a_table_the_later_counts(folder: Store) -> None:
    early, late = row("a", seed=1, finished="1"), row("a", seed=2, finished="2")
    for rows in ([early, late], [late, early], [late, early, late]):
        folder.write(TABLE, parquet_of(pa.Table.from_pylist(rows, schema=schema.SCHEMA)))
        assert folder.rows() == {"a": late}


@pytest.mark.parametrize("finished", [None, "1"])
def test_one_cell_twice_with_other_values_is_refused(folder: Store, finished: str | None) -> None:
    pair = [row("a", host=host, finished=finished) for host in "xy"]
    for rows in (pair, pair[::-1]):
        folder.write(TABLE, parquet_of(pa.Table.from_pylist(rows, schema=schema.SCHEMA)))
        with refused("two rows of cell a that differ"):
            folder.rows()


def test_a_row_taken_out_of_the_table_is_read_from_its_fragment(folder: Store) -> None:
    """Filtering with Arrow keeps the metadata that lists the row file."""
    for number, cell in enumerate("ab"):
        folder.write_row(row(cell))
        os.utime(folder.path(f"rows/{cell}.json"), (number * 100, number * 100))
    folder.compact()
    folder.write(TABLE, parquet_of(table(folder).slice(1)))
    assert set(folder.rows()) == {"a", "b"}


@pytest.mark.parametrize("said", [b"{", b"[1]", b'{"place": 3}', b"[" * 100_000, b"\xff"])
def test_what_a_table_says_of_fragments_may_be_anything(folder: Store, said: bytes) -> None:
    ours = pa.Table.from_pylist([row("a")], schema=schema.SCHEMA)
    folder.write(TABLE, parquet_of(ours.replace_schema_metadata({"harness.fragments": said})))
    assert folder.rows() == {"a": row("a")}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"cell,model\n"])
def test_a_table_that_is_not_parquet_is_left_untouched(store: Store, content: bytes) -> None:
    store.write(TABLE, content)
    with refused(f"{TABLE} is not a parquet file"):
        store.compact()
    assert store.read(TABLE) == content


def test_what_a_killed_writer_left_is_no_row(folder: Store) -> None:
    folder.write_row(row("a"))
    for name in ("rows/.a.json.0123", "rows/.b.json", f".{TABLE}.0123"):
        folder.path(name).write_bytes(b'{"cell": "a", ')
    assert folder.keys("rows", ".json") == ["rows/a.json"]
    folder.compact()
    assert folder.rows() == {"a": row("a")}


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    folder: Store, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    folder.write("rows/a", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        with pytest.raises(OSError, match="no space left"):
            folder.write("rows/a", b"new")
    assert folder.read("rows/a") == b"old"
    assert [path.name for path in folder.path("rows").iterdir()] == ["a"]


def test_content_is_on_disk_before_it_has_its_name(
    folder: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bytes | None, int]] = []
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: seen.append((folder.read("k"), os.fstat(descriptor).st_size)),
    )
    folder.write("k", b"first")
    folder.write("k", b"second one")
    assert seen == [(None, 5), (b"first", 10)]


# --- many writers ---------------------------------------------------------------------------------

WRITER = """
import sys
from harness.storage.store import Store
me, store = sys.argv[1], Store(sys.argv[2])
for n in range(30):
    store.write_row({"cell": f"{me}{n}", "host": me, "seed": n})
    store.write_row({"cell": "shared", "host": me, "seed": n, "error": "x" * 9000})
    if n % 5 == 0:
        store.compact()
"""


# --- places and keys ------------------------------------------------------------------------------


def test_opening_a_store_creates_nothing(folder: Store) -> None:
    folder.rows()
    assert not folder.root.exists()
    folder.prepare()
    assert list(folder.root.iterdir()) == []


def test_a_place_that_cannot_hold_results_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with refused("is a file; expected a folder"):
        Store(file)
    below = Store(file / "results")
    assert below.rows() == {}
    with refused("cannot be written: Not a directory; expected a writable folder"):
        below.prepare()
    assert file.read_text() == "mine"


@pytest.mark.parametrize("key", ["../out", "rows/../../out", "/etc/hostname"])
def test_a_key_does_not_leave_the_folder(store: Store, key: str) -> None:
    for use in (store.read, store.remove, lambda k: store.write(k, b"")):
        with pytest.raises(ValueError, match="leaves the results folder"):
            use(key)


def test_removing_forgets_once_and_again(store: Store) -> None:
    store.write("k", b"v")
    store.remove("k")
    store.remove("k")
    assert store.read("k") is None


def test_curves_and_provenance_are_read_back(store: Store) -> None:
    points = [
        {"step": step, "nelbo": 3.0, "kl": 1.0, "rec": 2.0, "extra": 0.0, "seconds": 0.5}
        for step in (1, 2)
    ]
    store.write_curve("a", points)
    curve = store.curve("a")
    assert isinstance(curve, pd.DataFrame)
    assert list(curve.columns) == schema.CURVE_SCHEMA.names
    assert curve.dropna(axis="columns").to_dict("records") == points
    for run, started in (("a", "2026-02"), ("b", "2026-01")):
        store.write(f"provenance/{run}.json", json.dumps({"run": run, "started": started}).encode())
    assert [record["run"] for record in store.provenance()] == ["b", "a"]


def test_rows_are_set_and_removed_and_the_others_stay(store: Store) -> None:
    """Also where the row that is replaced finished later, and for rows in the table alone."""
    for name in "abcd":
        store.write_row(row(name, finished="2026-01-02"))
    store.compact()
    store.remove("rows/c.json")
    store.write_row(row("e"))
    store.update_rows([row("a", seed=7, finished="2026-01-01"), row("f")], ["b", "d"])
    expected = {"a": 7, "c": 0, "e": 0, "f": 0}
    for _ in range(2):
        assert {name: each["seed"] for name, each in store.rows().items()} == expected
        store.compact()
    assert store.keys("rows", "") == ["rows/e.json"]


def test_names_of_arms_are_read_as_written(store: Store) -> None:
    names = [ArmName("strong β", {"model": "vae", "beta": 4.0})]
    assert store.arm_names() == []
    store.write_arm_names(names)
    assert store.arm_names() == names
    store.write_arm_names([])
    assert store.read("names.json") is None


def test_a_name_holds_for_columns_that_its_file_lacks() -> None:
    """Files are older than columns; these have their defaults."""
    key = ArmName("a", {"model": "vae"}).key
    columns = dict(zip(schema.ARM_COLUMNS, key, strict=True))
    assert columns["model"] == "vae"
    assert (columns["validation"], columns["recipe"], columns["stage"]) == (0, "{}", "")


@pytest.mark.parametrize(
    ("status", "active"),
    [
        ({"written": "now", "end": ""}, True),
        ({"written": "now", "end": "done"}, False),
        ({"written": "2026-01-01T00:00:00+00:00", "end": ""}, False),
        ({}, False),
        ([], False),
    ],
)
def test_a_run_is_active_while_it_sends_news(folder: Store, status: Any, active: bool) -> None:
    text = json.dumps(status).replace("now", utc_now())
    folder.write("progress/r.json", text.encode())
    assert folder.active_runs() == (["r"] if active else [])


class Killed(BaseException):
    """What no command catches."""


def test_rows_of_an_interrupted_removal_do_not_come_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a scan, nor by a run that compacts or adds rows; other contents count again."""

    def kill(key: str) -> None:
        raise Killed

    for name in "abc":
        store.write_row(row(name, finished="2026-01-01"))
    store.write("curves/a.parquet", b"curve")
    changed = [row("b", seed=7, finished="2025-01-01")]
    with monkeypatch.context() as patch:
        patch.setattr(store.backend, "remove", kill)
        with pytest.raises(Killed):
            store.update_rows(changed, ["a"], ["curves/a.parquet"])
    assert store.keys("rows", "") == ["rows/a.json", "rows/b.json", "rows/c.json"]
    for _ in range(3):
        other = Store(store.address)
        assert {name: each["seed"] for name, each in other.rows().items()} == {"b": 7, "c": 0}
        assert other.row("a") is None
        assert set(other.scan().stale) == {"a", "b"}
        other.compact()
    store.write_row(row("a", seed=3))
    assert store.rows()["a"]["seed"] == 3
    assert set(store.scan().stale) == {"b"}
    store.update_rows([])
    assert store.keys("rows", "") == ["rows/a.json", "rows/c.json"]
    assert store.scan().stale == {}
    assert {name: each["seed"] for name, each in store.rows().items()} == {"a": 3, "b": 7, "c": 0}


@pytest.mark.parametrize("record", [b"{", b"[]", b"3", b"null"])
def test_a_record_of_stale_rows_that_cannot_be_used_counts_as_none(
    folder: Store, record: bytes
) -> None:
    folder.write_row(row("a"))
    folder.compact()
    table = pq.read_table(folder.path(TABLE))
    changed = table.replace_schema_metadata(table.schema.metadata | {b"harness.stale": record})
    pq.write_table(changed, folder.path(TABLE))
    assert set(Store(folder.root).rows()) == {"a"}


def test_a_table_without_row_files_does_not_depend_on_its_place(tmp_path: Path) -> None:
    contents = []
    for name in "ab":
        store = Store(tmp_path / name)
        store.update_rows([row("x", finished="2026-01-01")])
        contents.append(store.read(TABLE))
    assert contents[0] == contents[1]
