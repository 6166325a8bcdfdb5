"""What planning refuses before anything is written."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.experiment import read_experiment
from harness.cli.options import RunOptions
from harness.cli.workload import plan_workload, refuse_changed_data, select_sets
from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.plugins.dataset import registered_datasets
from harness.storage.schema import describe_cell
from harness.storage.store import Store

OWN = Cell("vae", 0, 10, dataset="mine", data_version="aaaaaaaaaaaa")


@pytest.fixture
def options(tmp_path: Path) -> Iterator[RunOptions]:
    """A run of one cell on a user's own data."""
    save(tmp_path / "mine.npz", 0)
    keys = {"dataset": [str(tmp_path / "mine.npz")], "seeds": 1, "iterations": 10}
    yield RunOptions(
        models=("vae",), grid_keys=keys, results=str(tmp_path / "results"), launcher="in-process"
    )
    registered_datasets.pop("mine", None)


def save(path: Path, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, 2, (20, 1, 28, 28))
    np.savez(path, train_x=x, test_x=x[:5])


def test_the_cells_of_own_data_have_its_name_and_version(options: RunOptions) -> None:
    (cell,) = read_experiment(options).cells
    assert cell.dataset == "mine"
    assert len(cell.data_version) == 12
    assert cell.id != replace(cell, data_version="").id


def test_a_changed_file_under_one_name_is_refused(options: RunOptions, tmp_path: Path) -> None:
    experiment = read_experiment(options)
    store = Store(tmp_path / "results")
    store.prepare()
    store.write_row(describe_cell(experiment.cells[0]) | {"status": "ok"})
    assert list(plan_workload(experiment).plan.rows) == [experiment.cells[0].id]
    save(tmp_path / "mine.npz", 1)
    with pytest.raises(InputError, match=r"^data set 'mine' has changed: .*--results\)$") as caught:
        plan_workload(read_experiment(options))
    assert "\n" not in str(caught.value)
    save(tmp_path / "mine.npz", 0)
    assert plan_workload(read_experiment(options)).plan.rows


def test_only_other_content_of_a_data_set_of_the_grid_is_refused() -> None:
    old, pinned = describe_cell(OWN), describe_cell(Cell("vae", 0, 10))
    refuse_changed_data([OWN, Cell("vae", 0, 10)], [old, pinned])
    refuse_changed_data([Cell("vae", 0, 10)], [old])  # the grid has no cell of that data set
    del pinned["data_version"]  # a row of version 0.1
    refuse_changed_data([Cell("vae", 0, 10)], [pinned])
    with pytest.raises(InputError, match="version aaaaaaaaaaaa, the present data are version bbbb"):
        refuse_changed_data([replace(OWN, data_version="bbbbbbbbbbbb")], [pinned, old])
    with pytest.raises(InputError, match="the present data are version fixed by its name"):
        refuse_changed_data([replace(OWN, data_version="")], [old])


# --- validation -----------------------------------------------------------------------------------


def select(folder: Path, **grid_keys: Any) -> int:
    options = RunOptions(
        models=("vae",), grid_keys=grid_keys, results=str(folder), launcher="in-process"
    )
    experiment = read_experiment(options)
    return len(select_sets(experiment, experiment.cells))


def test_a_part_of_the_training_images_can_be_held_out(tmp_path: Path) -> None:
    assert select(tmp_path / "results", validation=59_999) == 1
    assert not (tmp_path / "results").exists()


def test_all_training_images_cannot_be_held_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="validation 60000: data set 'mnist' has 60000 training"):
        select(tmp_path / "results", validation=60_000)
