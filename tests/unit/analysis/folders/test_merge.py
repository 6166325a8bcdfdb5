"""Merging loses no row, and conflicts are named."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.folders.__main__ import main
from analysis.folders.merge import merge_rows
from harness.storage.artifacts import ArmName
from harness.storage.schema import Row, make_row
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import curve, made, row

CELLS = [made("vae", seed, beta=beta) for seed in range(3) for beta in (1.0, 4.0)]
TABLE = {cell.id: make_row(row(cell)) for cell in CELLS}
# for each cell, the folders that hold it, at least one
SPLITS = st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=len(CELLS), max_size=len(CELLS))
VERSIONS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2))


def split_table(split: Sequence[set[int]]) -> list[dict[str, Row]]:
    """Three tables; each row of `TABLE` is in the tables of its numbers."""
    pairs = list(zip(TABLE, split, strict=True))
    return [{cell: TABLE[cell] for cell, held in pairs if n in held} for n in range(3)]


def merged(tables: Sequence[Mapping[str, Row]], preferred: Sequence[int] = ()) -> dict[str, Row]:
    """The rows of tables without conflicts."""
    found = merge_rows(tables, preferred)
    assert found.conflicts == []
    return {cell: tables[origins[0]][cell] for cell, origins in found.origins.items()}


def write(at: Path | str, rows: Mapping[str, Row], compacted: bool = True) -> Store:
    """A folder with these rows and their curves."""
    store = Store(at)
    by_id = {cell.id: cell for cell in CELLS}
    for name, values in rows.items():
        store.write_row(values)
        store.write_curve(name, curve(by_id[name]))
    if compacted:
        store.compact()
    return store


@given(SPLITS)
def test_any_split_of_a_table_gives_the_table_back(split: list[set[int]]) -> None:
    assert merged(split_table(split)) == TABLE


@given(SPLITS)
def test_merging_is_associative_and_idempotent(split: list[set[int]]) -> None:
    a, b, c = split_table(split)
    assert merged([merged([a, b]), c]) == merged([a, merged([b, c])])
    assert merged([a, a]) == a


@given(VERSIONS, VERSIONS)
def test_a_conflict_is_found_where_rows_differ_and_only_there(
    a: dict[str, int], b: dict[str, int]
) -> None:
    tables = [
        {name: {"cell": name, "nelbo": value} for name, value in table.items()} for table in (a, b)
    ]
    differing = {name for name in a.keys() & b.keys() if a[name] != b[name]}
    assert len(merge_rows(tables).conflicts) == len(differing)
    assert merged(tables, [0]) == tables[1] | tables[0]
    assert merged(tables, [1]) == tables[0] | tables[1]


@settings(max_examples=10)
@given(SPLITS, st.lists(st.booleans(), min_size=3, max_size=3))
def test_folders_give_the_table_back(split: list[set[int]], compacted: list[bool]) -> None:
    with TemporaryDirectory() as root:
        tables = [table for table in split_table(split) if table]
        paths = [f"{root}/{number}" for number in range(len(tables))]
        for path, table, is_compacted in zip(paths, tables, compacted, strict=False):
            write(path, table, is_compacted)
        before = tree(Path(root))
        assert main(["merge", *paths, "--into", f"{root}/all", "--dry-run"]) == 0
        assert tree(Path(root)) == before
        assert main(["merge", *paths, "--into", f"{root}/all"]) == 0
        found = Store(f"{root}/all")
        assert found.rows() == TABLE
        assert all(found.curve(cell) is not None for cell in TABLE)
        unchanged = {name: content for name, content in tree(Path(root)).items() if name in before}
        assert unchanged == before


def test_one_of_the_folders_is_completed_and_again_nothing_changes(tmp_path: Path) -> None:
    a, b, _ = split_table([{0}, {1}, {0, 1}, {0}, {1}, {1}])
    write(tmp_path / "a", a)
    write(tmp_path / "b", b)
    paths = [str(tmp_path / name) for name in "ab"]
    assert main(["merge", *paths, "--into", paths[1]]) == 0
    assert Store(paths[1]).rows() == TABLE
    before = tree(tmp_path)
    assert main(["merge", *paths, "--into", paths[1]]) == 0
    assert tree(tmp_path) == before


@pytest.fixture
def differing(tmp_path: Path) -> list[str]:
    """Two folders with one cell whose rows differ, and the samples of each."""
    for name, nelbo, finished in (("a", 100.0, "2026-01-02"), ("b", 90.0, "2026-01-01")):
        cell = CELLS[0]
        store = Store(tmp_path / name)
        store.write_row(row(cell, nelbo=nelbo, rec=nelbo - 19.0, finished=finished))
        store.write(f"samples/{cell.id}.png", name.encode())
        store.write("logs/only.txt", name.encode())
        store.compact()
    Store(tmp_path / "a").write(f"weights/{CELLS[0].id}.safetensors", b"weights of a")
    return [str(tmp_path / name) for name in "ab"]


def test_a_conflict_is_named_and_refused(
    differing: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(tmp_path)
    assert main(["merge", *differing, "--into", str(tmp_path / "c")]) == 2
    conflict, error = capsys.readouterr().err.splitlines()
    assert conflict.startswith(f"conflict: vae seed=0 (cell {CELLS[0].id}): nelbo 100.0 in")
    assert f"nelbo 100.0 in {differing[0]}, 90.0 in {differing[1]}" in conflict
    assert "finished" in conflict
    assert error.startswith("error: 1 conflict between the folders; nothing was changed")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("into", ["a", "b", "c"])
@pytest.mark.parametrize("prefer", ["a", "b"])
def test_the_preferred_row_counts_with_its_own_files(
    differing: list[str], into: str, prefer: str, tmp_path: Path
) -> None:
    """Also where it finished earlier, and it has no files of the other training."""
    path = str(tmp_path / into)
    flags = ["--into", path, "--prefer", str(tmp_path / prefer)]
    assert main(["merge", *differing, *flags]) == 0
    store, cell = Store(path), CELLS[0].id
    assert store.rows()[cell]["nelbo"] == {"a": 100.0, "b": 90.0}[prefer]
    assert store.read(f"samples/{cell}.png") == prefer.encode()
    weights = store.read(f"weights/{cell}.safetensors")
    assert weights == (b"weights of a" if prefer == "a" else None)
    assert store.read("logs/only.txt") == (b"b" if into == "b" else b"a")
    store.compact()
    assert store.rows()[cell]["nelbo"] == {"a": 100.0, "b": 90.0}[prefer]


def test_replaced_files_are_named(differing: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--into", differing[0], "--prefer", differing[1], "--dry-run"]
    assert main(["merge", *differing, *flags]) == 0
    printed = capsys.readouterr().out
    assert f"{differing[0]}: 1 rows, 1 of them replaced by preferred ones" in printed
    assert f"replaced by preferred ones: 1 file of samples (1 bytes) of {differing[0]}" in printed
    assert f"would remove 1 file of weights (12 bytes) of {differing[0]}" in printed


def test_other_true_classes_are_a_conflict(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in "ab"]
    for path, content in zip(paths, (b"1", b"2"), strict=True):
        write(path, TABLE).write("targets/mnist.npy", content)
    assert main(["merge", *paths, "--into", str(tmp_path / "c")]) == 2
    flags = ["--into", str(tmp_path / "c"), "--prefer", paths[1]]
    assert main(["merge", *paths, *flags]) == 0
    assert Store(tmp_path / "c").read("targets/mnist.npy") == b"2"


def test_everything_beside_the_rows_is_brought(tmp_path: Path) -> None:
    cell = CELLS[0]
    files = "samples/%.png reconstructions/%.png traversals/%.png predictions/%.npy logs/%.txt "
    files += "weights/%.safetensors scores/%.safetensors tensorboard/%/events.1 "
    files += "provenance/r.json plugins/f.json targets/m.npy judges/m.safetensors damaged/d-x.json "
    files += "progress/r.json checkpoints/unfinished.safetensors"
    keys = files.replace("%", cell.id).split()
    a = write(tmp_path / "a", TABLE)
    for key in keys:
        a.write(key, key.encode())
    name = ArmName("mine", {"model": cell.model, "beta": cell.beta})
    a.write_arm_names([name])
    write(tmp_path / "b", TABLE)
    assert main(["merge", str(tmp_path / "b"), a.name, "--into", str(tmp_path / "c")]) == 0
    found = Store(tmp_path / "c")
    assert {key: found.read(key) for key in keys} == {key: key.encode() for key in keys}
    assert found.arm_names() == [name]


def test_two_names_of_an_arm_are_a_conflict(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in "ab"]
    for path in paths:
        write(path, TABLE).write_arm_names([ArmName(f"{path[-1]}{{0}}", {"model": "vae"})])
    flags = ["--into", str(tmp_path / "c")]
    assert main(["merge", *paths, *flags]) == 2
    assert main(["merge", *paths, *flags, "--prefer", paths[1]]) == 0
    assert [each.name for each in Store(tmp_path / "c").arm_names()] == ["b{0}"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a", "nowhere", "--into", "c"], "no results folder"),
        (["a", "--into", "b"], "holds results already; expected a new folder"),
        (["a", "--into", "c", "--prefer", "b"], "--prefer"),
        (["a", "empty", "--into", "c"], "holds no rows"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write("a", dict(list(TABLE.items())[:3]))
    write("b", TABLE)
    Path("empty").mkdir()
    before = tree(tmp_path)
    assert main(["merge", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert tree(tmp_path) == before


def test_a_folder_of_an_active_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.experiment.provenance import utc_now

    store = write(tmp_path / "a", TABLE)
    status: dict[str, Any] = {"run": "r", "written": utc_now(), "end": ""}
    store.write("progress/r.json", json.dumps(status).encode())
    for words in (["merge", store.name, "--into", str(tmp_path / "c")], ["gc", store.name]):
        assert main(words) == 2
        assert "run r writes to" in capsys.readouterr().err
    store.write("progress/r.json", json.dumps(status | {"end": "done"}).encode())
    assert main(["gc", store.name]) == 0
