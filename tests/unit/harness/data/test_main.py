"""`python -m harness.data NAME|PATH`."""

from pathlib import Path

import numpy as np
import pytest

from harness.data.__main__ import check_datasets
from harness.plugins.dataset import registered_datasets


def test_names_and_paths_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "mine_of_a_test.npy", np.random.default_rng(0).normal(size=(1200, 3)))
    monkeypatch.delitem(registered_datasets, "mine_of_a_test", raising=False)
    assert check_datasets(["sprites", str(tmp_path / "mine_of_a_test.npy")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "sprites: 16,384 training and 2,048 test images, verified",
        "mine_of_a_test: 1,080 training and 120 test images, verified",
    ]
    del registered_datasets["mine_of_a_test"]


@pytest.mark.parametrize("entry", ["mnits", "nowhere/mine.npz"])
def test_what_cannot_be_loaded_is_one_line(entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_datasets([entry]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
