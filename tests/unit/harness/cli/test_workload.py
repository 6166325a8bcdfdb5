"""What planning refuses before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from harness.cli.experiment import read_experiment
from harness.cli.options import RunOptions
from harness.cli.workload import select_sets
from harness.errors import InputError


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
