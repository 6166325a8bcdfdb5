"""Buffers in compiled trainings and over many interruptions."""

import pytest

from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.storage.store import Store
from tests.conftest import lasting
from tests.unit.harness.training.test_state import (
    COMPILES,
    OVER_MODELS,
    each_step_counts_once,
    interrupted_everywhere,
    interrupted_rows,
)
from tests.unit.harness.training.test_state import models as models


@pytest.mark.slow
@COMPILES
@OVER_MODELS
def test_compiled_trainings_resume_to_the_same_bits(name: str, mnist: Data) -> None:
    interrupted_everywhere(name, 2, mnist, compiled=True)
    each_step_counts_once(name, mnist, compiled=True)


@pytest.mark.slow
@OVER_MODELS
def test_rows_after_many_interruptions_are_those_of_a_calm_run(
    name: str, store: Store, tmp_path_factory: pytest.TempPathFactory, mnist: Data
) -> None:
    """Each model is interrupted eight times during training and scoring."""
    from harness.evaluation import digit_classifier

    calm = Store(tmp_path_factory.mktemp("calm"))
    digit_classifier.provide(calm, mnist)
    assert interrupted_rows(name, calm, 0) == 0
    assert interrupted_rows(name, store, 8) == 8
    for seed in range(3):
        cell = Cell(name, seed, 12).id
        assert lasting(store.row(cell)) == lasting(calm.row(cell))
        assert store.read(f"weights/{cell}.safetensors") == calm.read(f"weights/{cell}.safetensors")
