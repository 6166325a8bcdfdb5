"""The training state of one cell."""

import pytest
import torch

from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.training.pack.cell_state import CellState, check_states, copy_contiguous, flatten_kinds


class Counting(Model):
    """A model with one buffer and no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))

    def noise(self, batch: int) -> dict[str, Shape]:
        return {}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        return Terms()

    def sample(self, noise: Noise) -> torch.Tensor:
        return torch.zeros(0)


def test_tensors_are_named_by_kind() -> None:
    one, two = torch.zeros(1), torch.ones(1)
    named = flatten_kinds({"param": {"w": one}, "state": {"w": two}, "best": {}})
    assert list(named) == ["param.w", "state.w"]
    assert named["state.w"] is two


def test_a_copy_is_contiguous_and_does_not_follow_the_original() -> None:
    original = torch.arange(6.0).view(2, 3).T
    copy = copy_contiguous({"w": original})["w"]
    assert copy.is_contiguous()
    original.zero_()
    assert copy.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_state_without_a_tensor_of_the_model_is_refused() -> None:
    whole = CellState({"state.steps": torch.ones(())}, 1, 0.0, [])
    check_states(Counting(), [whole])
    with pytest.raises(ValueError, match=r"a checkpoint holds no steps; delete it"):
        check_states(Counting(), [whole, CellState({}, 1, 0.0, [])])
