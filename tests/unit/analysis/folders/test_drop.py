"""Dropping an arm removes its rows and files, and nothing else."""

from pathlib import Path

import pytest

from analysis.folders.__main__ import main
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import gallery, made, row


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder with an arm of β = 1 and one of β = 4, the rows in files and in the table."""
    store = Store(tmp_path / "results")
    for seed in range(3):
        for beta in (1.0, 4.0):
            cell = made("vae", seed, beta=beta)
            store.write_row(row(cell))
            gallery(store, cell)
            store.write(f"tensorboard/{cell.id}/events.1", b"events")
    store.compact()
    return store


def test_an_arm_is_gone_with_its_files_and_does_not_come_back(store: Store) -> None:
    assert main(["rename", store.name, "--arm", "vae β=4", "--to", "strong"]) == 0
    assert main(["drop", store.name, "--arm", "strong"]) == 0
    assert [row["beta"] for row in store.rows().values()] == [1.0] * 3
    store.compact()
    assert [row["beta"] for row in store.rows().values()] == [1.0] * 3
    kept = {made("vae", seed).id for seed in range(3)}
    files = [Path(name) for name in tree(store.root)]
    assert {name.stem for name in files if name.parts[0] in ("rows", "samples")} == kept
    assert {name.parts[1] for name in files if name.parts[0] == "tensorboard"} == kept
    assert store.arm_names() == []


def test_a_cell_is_dropped_alone(store: Store) -> None:
    gone = made("vae", 1).id
    before = store.rows()
    assert main(["drop", store.name, "--cell", gone]) == 0
    assert store.rows() == {cell: row for cell, row in before.items() if cell != gone}


def test_a_dry_run_changes_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(store.root)
    assert main(["drop", store.name, "--arm", "vae β=4", "--dry-run"]) == 0
    assert tree(store.root) == before
    printed = capsys.readouterr().out
    assert "arm vae β=4: 3 cells, seeds 0, 1, 2" in printed
    assert "would remove 3 files of samples" in printed
    assert "would remove 3 rows of" in printed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "nothing to drop"),
        (["--arm", "vea"], "no arm 'vea'"),
        (["--cell", "0123"], "no cell '0123'"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], expected: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(store.root)
    assert main(["drop", store.name, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert tree(store.root) == before


def test_rows_that_a_run_writes_meanwhile_stay(store: Store) -> None:
    """The table is written from what was read; a row file written since is read again."""
    added = made("vae", 7)
    contents = store.scan()
    store.write_row(row(added))
    store.table.write(contents)
    assert added.id in store.rows()


def test_trials_of_a_search_alone_have_no_arms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, trial = Store(tmp_path / "search"), made("vae", search="s", stage="search")
    store.write_row(row(trial, search_spec="{}"))
    assert main(["drop", store.name, "--arm", "vae"]) == 2
    assert "no arm 'vae'" in capsys.readouterr().err
    assert main(["diff", store.name, store.name]) == 2
    assert main(["export", store.name, "--to", str(tmp_path / "rows.csv"), "--format", "csv"]) == 0
    assert trial.id in (tmp_path / "rows.csv").read_text()
    assert main(["drop", store.name, "--cell", trial.id]) == 0
    assert store.rows() == {}
