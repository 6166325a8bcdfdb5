"""What differs between two folders: arms, seeds and scores."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.folders.__main__ import main
from analysis.folders.diff import compare_folders
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import made, row


def write(at: Path, values: dict[float, dict[int, float]], **more: Any) -> Store:
    """A folder with these NELBOs by β and seed."""
    store = Store(at)
    for beta, scores in values.items():
        for seed, nelbo in scores.items():
            cell = made("vae", seed, beta=beta)
            store.write_row(row(cell, nelbo=nelbo, rec=nelbo - 19.0, **more))
    return store


def test_arms_of_one_folder_alone_and_equal_ones_are_named(tmp_path: Path) -> None:
    same = {0: 100.0, 1: 101.0}
    a = write(tmp_path / "a", {1.0: same, 2.0: same}, host="one")
    b = write(tmp_path / "b", {1.0: same, 4.0: same}, host="two")
    found = compare_folders(a, b)
    assert (found.only_a, found.only_b) == ({"vae β=2": 2}, {"vae β=4": 2})
    assert (found.changes, found.unchanged) == ([], ["vae β=1"])


def test_common_seeds_are_paired(tmp_path: Path) -> None:
    old, new = {0: 100.0, 1: 101.0, 2: 105.0, 3: 9.0}, {0: 101.0, 1: 101.0, 2: 108.0, 7: 50.0}
    found = compare_folders(write(tmp_path / "a", {1.0: old}), write(tmp_path / "b", {1.0: new}))
    change = {each.metric: each for each in found.changes}["nelbo"]
    pairs = np.array([1.0, 0.0, 3.0])
    assert change.difference == pytest.approx(pairs.mean())
    assert change.se == pytest.approx(pairs.std(ddof=1) / np.sqrt(3))
    assert (change.n_a, change.n_b, change.common, change.equal) == (4, 4, 3, 1)
    assert change.mean_a == pytest.approx(np.mean(list(old.values())))


def test_without_common_seeds_the_samples_are_independent(tmp_path: Path) -> None:
    old, new = {0: 100.0, 1: 102.0}, {2: 90.0, 3: 91.0, 4: 95.0}
    found = compare_folders(write(tmp_path / "a", {1.0: old}), write(tmp_path / "b", {1.0: new}))
    change = {each.metric: each for each in found.changes}["nelbo"]
    a, b = np.array(list(old.values())), np.array(list(new.values()))
    assert change.difference == pytest.approx(b.mean() - a.mean())
    assert change.se == pytest.approx(np.sqrt(a.var(ddof=1) / 2 + b.var(ddof=1) / 3))
    assert change.common == 0


def test_a_new_score_is_a_change_without_a_difference(tmp_path: Path) -> None:
    a = write(tmp_path / "a", {1.0: {0: 100.0}})
    b = write(tmp_path / "b", {1.0: {0: 100.0}}, iwae_10=99.0)
    (change,) = compare_folders(a, b).changes
    assert (change.metric, change.mean_a, change.mean_b) == ("iwae_10", None, 99.0)
    assert (change.difference, change.se) == (None, None)


def test_the_command_prints_it_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a", {1.0: {0: 100.0, 1: 101.0}, 2.0: {0: 1.0}})
    b = write(tmp_path / "b", {1.0: {0: 101.0, 1: 102.0}})
    before = tree(tmp_path)
    assert main(["diff", a.name, b.name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"only in {a.name}: vae β=2 (1 cells)"
    assert lines[1] == (
        "changed: vae β=1: nelbo 100.5 (n = 2) -> 101.5 (n = 2): +1 ± 0 SE nats over 2 common "
        "seeds, 0 of them equal"
    )
    assert lines[-1] == "unchanged: 0 arms"
    assert main(["diff", a.name, b.name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["only_a"] == {"vae β=2": 1}
    assert tree(tmp_path) == before
    assert main(["diff", a.name, str(tmp_path / "c")]) == 2
