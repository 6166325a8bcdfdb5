"""Tensors that a step changes without a gradient belong to the state of a cell.

They are in checkpoints, and resuming restores them to the bit.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.data import idx_sets
from harness.errors import InputError
from harness.execution import trial
from harness.experiment.cell import Cell
from harness.plugins import model_state, registry, source_files
from harness.plugins.dataset import Data
from harness.scheduling import plan
from harness.storage import tensor_file
from harness.storage.layout import checkpoint_key
from harness.storage.store import Store
from harness.training import trainer
from harness.training.checkpoints import load_checkpoint, save_checkpoints
from harness.training.task import Task
from harness.training.trainer import CellState, PackTrainer
from tests.unit.harness.stateful import NAMES, SOURCE

STEPS = 6
COMPILES = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="there is no C++ compiler"
)
OVER_MODELS = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def models() -> Iterator[None]:
    """The stateful models, registered for one test."""
    registry.load_source("stateful.py", SOURCE)
    yield
    for name in NAMES:
        del registry._models[name]


def pack_of(
    name: str, cells: int, data: Data, state: Sequence[CellState] = (), compiled: bool = False
) -> PackTrainer:
    return PackTrainer(
        [Cell(name, seed, 12) for seed in range(cells)], data, states=state, compiled=compiled
    )


def everything(pack: PackTrainer) -> dict[str, Tensor]:
    return {
        f"{kind}.{name}": value
        for kind, of in pack._state_tensors().items()
        for name, value in of.items()
    }


def stored(state: CellState) -> CellState:
    tensors, record = tensor_file.parse(tensor_file.dump(state.tensors, {"curve": state.curve}))
    return CellState(tensors, state.step, state.seconds, record["curve"])


def interrupted_everywhere(name: str, cells: int, data: Data, compiled: bool) -> None:
    straight = pack_of(name, cells, data, compiled=compiled)
    states = []
    for _ in range(STEPS):
        states.append([stored(straight.extract_state(index)) for index in range(cells)])
        straight.train_step()
    for state in states:
        pack = pack_of(name, cells, data, state, compiled)
        while pack.step < STEPS:
            pack.train_step()
        expected = everything(straight)
        for key, value in everything(pack).items():
            assert torch.equal(value, expected[key]), (key, state[0].step)


@OVER_MODELS
@pytest.mark.parametrize("cells", [1, 3])
def test_an_interrupted_training_ends_with_the_same_bits(
    name: str, cells: int, mnist: Data
) -> None:
    interrupted_everywhere(name, cells, mnist, compiled=False)


def each_step_counts_once(name: str, mnist: Data, compiled: bool) -> None:
    """Compare the state of a pack with that of the model alone, at every step."""
    pack = pack_of(name, 2, mnist, compiled=compiled)
    model = registry.build(pack.cells[0])
    for _ in range(STEPS):
        batch, noise = pack._next_batch()
        with torch.no_grad():
            for key, value in pack.params.items():
                model.get_parameter(key).copy_(value[0])
        model.terms(
            type(batch)(*(part[0] for part in batch)), {key: draw[0] for key, draw in noise.items()}
        )
        pack.train_step()
    expected = dict(model.named_buffers())
    assert set(expected) == set(model_state.state_names(pack.model))
    for key, value in expected.items():
        torch.testing.assert_close(pack.untrained[key][0], value.detach(), rtol=1e-4, atol=1e-5)


@OVER_MODELS
def test_each_step_changes_the_state_once(name: str, mnist: Data) -> None:
    """Choosing a memory layout and measuring memory do not count as steps."""
    each_step_counts_once(name, mnist, compiled=False)


def interrupted_rows(name: str, store: Store, times: int) -> int:
    """Run three cells to their rows with up to `times` interruptions; how many there were.

    Each interruption closes the trial after one report.
    """
    cells, done = tuple(Cell(name, seed, 12) for seed in range(3)), 0
    values: dict[str, Any] = {
        "report_seconds": 0.0,
        "plugins": (source_files.plugin_from_text("stateful.py", SOURCE),),
        "compile": "never",
    }
    while len(store.rows()) < len(cells):
        updates = trial.run(Task(cells, str(store.root), **values), idx_sets.load("mnist"))
        for _ in updates:
            if done < times:
                done += 1
                updates.close()
    return done


@OVER_MODELS
def test_a_checkpoint_of_an_older_version_is_refused_in_a_line(
    name: str, store: Store, mnist: Data
) -> None:
    pack = pack_of(name, 1, mnist)
    pack.train_step()
    state = pack.extract_state(0)
    old = {key: value for key, value in state.tensors.items() if not key.startswith("state.")}
    record = {
        "step": state.step,
        "seconds": state.seconds,
        "curve": state.curve,
        "source": registry.source_hash(name),
    }
    store.write(checkpoint_key(pack.cells[0]), tensor_file.dump(old, record))
    with pytest.raises(
        InputError, match=r"without the state that a step changes \(.*\); delete it to train"
    ):
        plan.check_checkpoints(store, pack.cells)
    with pytest.raises(ValueError, match="a checkpoint holds no"):
        pack_of(name, 1, mnist, [CellState(old, state.step, state.seconds, state.curve)])


def test_a_checkpoint_of_a_model_without_state_needs_none(mnist: Data) -> None:
    assert trainer.missing_state(registry.build(Cell("vae", 0, 12, settings=(("z", 2),))), {}) == ""


def test_a_checkpoint_of_another_text_is_not_gone_on_from(
    store: Store, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cell is trained by two versions of a plug-in."""
    cell = Cell("warmed", 0, 12)
    pack = PackTrainer([cell], mnist)
    pack.train_step()
    save_checkpoints(store, pack)
    assert plan.check_checkpoints(store, [cell]) == []
    found = load_checkpoint(store, cell)
    assert found is not None
    assert found.step == 1
    monkeypatch.setattr(registry, "source_hash", lambda name: "another text")
    assert plan.check_checkpoints(store, [cell]) == [cell]
    assert load_checkpoint(store, cell) is None
