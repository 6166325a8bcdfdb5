"""A command that is killed at any write or removal leaves the folder of before or of after."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from analysis.folders.__main__ import main
from harness.storage.layout import TABLE
from harness.storage.local import Folder
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import gallery, made, row

BETAS = (1.0, 4.0)
CLEAN = ["gc", "a", "--keep-weights"]
Visible = dict[str, tuple[Any, ...]]


class Killed(BaseException):
    """What no command catches."""


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """The write or removal of this number does not happen, and ends the command."""
    numbers = count()

    def end_at(change: Any) -> Any:
        def changed(*args: Any) -> None:
            if next(numbers) == step:
                raise Killed
            change(*args)

        return changed

    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "remove"):
            patch.setattr(Folder, name, end_at(getattr(Folder, name)))
        yield


def write(at: Path, seeds: range, compacted: bool, **values: Any) -> Store:
    """A folder with these seeds of both arms, their pictures and weights."""
    store = Store(at)
    for seed in seeds:
        for beta in BETAS:
            cell = made("vae", seed, beta=beta)
            store.write_row(row(cell, **values))
            gallery(store, cell)
            store.write(f"weights/{cell.id}.safetensors", at.name.encode())
    if compacted:
        store.compact()
    return store


def see(path: Path) -> Visible:
    """What readers meet: each row and the files of its cell, also once a run has compacted it."""
    store = Store(path)
    rows = store.rows()
    copy = path.with_name("copy of a reader")
    shutil.copytree(path, copy, copy_function=shutil.copy2)
    Store(copy).compact()
    assert Store(copy).rows() == rows == {cell: store.row(cell) for cell in rows}
    shutil.rmtree(copy)
    files = [(Path(name), content) for name, content in tree(path).items()]
    return {
        cell: (values, {str(p): c for p, c in files if p.stem == cell and p.parts[0] != "rows"})
        for cell, values in rows.items()
    }


def without_table(path: Path) -> Mapping[str, bytes]:
    """All files but the table, whose rows may have come in another order of writes."""
    return {name: content for name, content in tree(path).items() if name != TABLE}


def interrupt(folder: Path, target: str, words: list[str], *others: list[str]) -> Iterator[Path]:
    """A copy of `folder` for each step at which `words` is killed.

    Yields the killed folder, and checks that after the same command, and `others`, all is as
    without a kill.
    """
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(whole)
        assert main(words) == 0
    for step in count():
        copy = folder.with_name("killed")
        shutil.copytree(folder, copy)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(copy)
            try:
                with killed_at(step):
                    main(words)
            except Killed:
                yield copy
                code = main(words)
                assert code == 0 or "drop" in words
                assert [main(other) for other in others] == [0] * len(others)
                assert see(copy / target) == see(whole / target)
                assert without_table(copy / target) == without_table(whole / target)
                shutil.rmtree(copy)
                continue
        assert step > 3
        return


@pytest.mark.parametrize("compacted", [True, False])
def test_a_dropped_arm_is_there_or_gone(compacted: bool, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder / "a", range(1), compacted)
    before = see(folder / "a")
    after = {cell: seen for cell, seen in before.items() if seen[0]["beta"] == 1.0}
    seen = set()
    drop = ["drop", "a", "--arm", "vae β=4"]
    for killed in interrupt(folder, "a", drop, CLEAN):
        is_gone = see(killed / "a") != before
        assert see(killed / "a") == (after if is_gone else before)
        if is_gone not in seen:
            assert main([*drop, "--dry-run"]) == (2 if is_gone else 0)
        seen.add(is_gone)
    assert seen == {True, False}


def test_a_cell_that_is_trained_again_after_an_interrupted_drop_counts(tmp_path: Path) -> None:
    store = write(tmp_path / "a", range(2), compacted=True)
    cell = made("vae", 0, beta=4.0)
    with pytest.raises(Killed), killed_at(1):  # the table is written, no file is removed
        main(["drop", store.name, "--cell", cell.id])
    assert cell.id not in Store(store.root).rows()
    store.write_row(row(cell, host="another"))
    again = Store(store.root)
    assert again.rows()[cell.id]["host"] == "another"
    again.compact()
    assert main(["gc", store.name, "--keep-weights"]) == 0
    assert Store(store.root).rows()[cell.id]["host"] == "another"
    assert store.read(f"samples/{cell.id}.png") is not None


def test_a_completed_folder_has_its_rows_or_more_and_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder / "a", range(1), compacted=False)
    write(folder / "b", range(1, 2), compacted=True)
    before, added = see(folder / "a"), see(folder / "b")
    merge = ["merge", "a", "b", "--into", "a"]
    for killed in interrupt(folder, "a", merge):
        found = see(killed / "a")
        assert found == (before | added if len(found) > len(before) else before)


def test_a_preferred_row_counts_or_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder / "a", range(1), compacted=False, host="a", finished="2026-01-02")
    write(folder / "b", range(1), compacted=True, host="b", finished="2026-01-01")
    merge = ["merge", "a", "b", "--into", "a", "--prefer", "b"]
    for killed in interrupt(folder, "a", merge, CLEAN):
        rows = Store(killed / "a").rows()
        assert len({values["host"] for values in rows.values()}) == 1
        assert len(rows) == 2


@pytest.mark.parametrize("words", [["merge", "a", "b", "--into"], ["export", "a", "--to"]])
def test_a_new_folder_is_whole_or_not_there(words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder / "a", range(1), compacted=True)
    write(folder / "b", range(2), compacted=False)
    for name in "ab":  # the weights of equal rows are equal
        for cell in Store(folder / name).rows():
            Store(folder / name).write(f"weights/{cell}.safetensors", b"weights")
    for killed in interrupt(folder, "c", [*words, "c"]):
        assert sorted(path.name for path in killed.iterdir()) == ["a", "b"]


def test_what_is_in_part_in_a_folder_with_other_files_is_completed(tmp_path: Path) -> None:
    """A bucket, or a folder that has a README, is filled in place."""
    folder = tmp_path / "folder"
    write(folder / "a", range(1), compacted=True)
    (folder / "c").mkdir()
    (folder / "c" / "README.md").write_text("mine")
    merge = ["merge", "a", "--into", "c"]
    for killed in interrupt(folder, "c", merge):
        assert len(see(killed / "c")) in (0, 2)


@pytest.mark.parametrize("key", ["weights/%.safetensors", "rows/%.json", "curves/other.parquet"])
def test_what_else_is_there_is_not_overwritten(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even by the weights of the same cells, which another training has left."""
    a = write(tmp_path / "a", range(2), compacted=True)
    c = Store(tmp_path / "c")
    cell = made("vae", 0, beta=1.0)
    if key.startswith("rows"):
        c.write_row(row(cell, host="another"))
    else:
        c.write(key.replace("%", cell.id), b"another")
    before = tree(tmp_path)
    assert main(["merge", a.name, "--into", c.name]) == 2
    assert "holds results already" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_what_killed_commands_left_beside_is_removed_once_it_is_old(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a", range(1), compacted=True)
    young, old, other = (
        tmp_path / name for name in (f".c.{'0' * 32}", f".c.{'1' * 32}", ".c.mine")
    )
    for path in (young, old, other):
        path.mkdir()
        (path / "file").write_text("partial")
    for path in (old / "file", old, other / "file", other):
        os.utime(path, (0, 0))
    merge = ["merge", a.name, "--into", str(tmp_path / "c")]
    assert main([*merge, "--dry-run"]) == 0
    assert f"would remove {old}, which an interrupted command left" in capsys.readouterr().out
    assert old.exists()
    assert main(merge) == 0
    assert [path.exists() for path in (young, old, other)] == [True, False, True]


def test_a_place_that_is_filled_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    from analysis.folders.new_folder import fill_folder
    from harness.errors import InputError

    place = tmp_path / "c"

    def fill() -> None:
        with fill_folder(Store(place)) as store:
            store.write("curves/a.parquet", b"mine")
            Store(place).write("curves/b.parquet", b"another's")

    with pytest.raises(InputError, match="filled meanwhile"):
        fill()
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert list(tree(place)) == ["curves/b.parquet"]
