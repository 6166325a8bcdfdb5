"""The sheets of pictures in a results folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.frames.load import read_results as read_results
from analysis.sections.samples import read_sheets
from harness.errors import InputError
from harness.storage.store import Store
from tests.unit.analysis.conftest import made, picture, row


def folder(root: Path) -> Store:
    """A failed and a finished seed of one arm, each with a picture."""
    store = Store(root)
    for seed, status in ((0, "failed"), (1, "ok"), (2, "ok")):
        store.write_row(row(made("vae", seed), status))
        picture(store, f"reconstructions/{made('vae', seed).id}.png")
    return store


def test_a_sheet_of_each_arm_is_that_of_its_first_finished_seed(tmp_path: Path) -> None:
    store = folder(tmp_path)
    found = read_sheets(store, read_results(store).rows)
    assert {kind: list(sheets) for kind, sheets in found.items()} == {
        "samples": [],
        "reconstructions": [made("vae", 1).id],
        "traversals": [],
    }


@pytest.mark.parametrize(
    "damage", [lambda png: png[:-3], lambda _: b"GIF89a"], ids=["half", "another format"]
)
def test_what_is_no_whole_picture_is_bad_input(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    store = folder(tmp_path)
    path = store.path(f"reconstructions/{made('vae', 1).id}.png")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="is not a whole PNG; expected one"):
        read_sheets(store, read_results(store).rows)
