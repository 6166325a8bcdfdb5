"""Only what finished cells do not need is removed."""

import os
from pathlib import Path

import pytest

from analysis.folders.__main__ import main
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import made, row

STATUSES = ("ok", "diverged", "failed")
HEX = "0123456789abcdef" * 2


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A cell of each status, one that has no row, and one trial of a search, with all files."""
    store = Store(tmp_path / "results")
    for seed, status in enumerate(STATUSES):
        store.write_row(row(made("vae", seed), status))
    trial = made("vae", 0, search="s", stage="search")
    store.write_row(row(trial))
    ids = [made("vae", seed).id for seed in range(4)]
    for folder in ("weights", "checkpoints", "scores"):
        for name in ids:
            store.write(f"{folder}/{name}.safetensors", b"1234567890")
    store.write(f"checkpoints/{trial.state_id}.safetensors", b"state")
    store.write(f"samples/{ids[0]}.png", b"picture")
    store.write("judges/mnist.safetensors", b"judge")
    store.compact()
    return store


@pytest.mark.parametrize("keeps", [False, True])
def test_finished_cells_lose_their_state_and_others_none(keeps: bool, store: Store) -> None:
    before = set(tree(store.root))
    assert main(["gc", store.name, *(["--keep-weights"] if keeps else [])]) == 0
    folders = ["checkpoints", "scores", *([] if keeps else ["weights"])]
    gone = {f"{folder}/{made('vae', seed).id}.safetensors" for folder in folders for seed in (0, 1)}
    assert before - set(tree(store.root)) == gone


def test_the_bytes_are_said_and_a_dry_run_changes_nothing(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(store.root)
    assert main(["gc", store.name, "--dry-run"]) == 0
    assert tree(store.root) == before
    printed = capsys.readouterr().out
    assert printed.startswith("60 bytes that finished cells do not need")
    assert "would remove 2 files of weights (20 bytes)" in printed
    assert "kept: 3 checkpoints of unfinished cells and of searches" in printed


def test_temporary_files_are_removed_once_they_are_old(store: Store) -> None:
    young, old = (store.root / folder / f".x.json.{HEX}" for folder in ("rows", "curves"))
    other = store.root / "rows" / ".mine.txt"
    for path in (young, old, other):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"partial")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    assert main(["gc", store.name]) == 0
    assert [path.exists() for path in (young, old, other)] == [True, False, True]
