"""The training state of one cell of a pack, as a checkpoint holds it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.plugins.model import Model
from harness.plugins.model_state import Tensors, state_names


@dataclass(frozen=True)
class CellState:
    """The training state of one cell.

    tensors: by name, see `PackTrainer.extract_state`
    step: steps taken
    seconds: training time so far
    curve: the points of the learning curve so far
    """

    tensors: dict[str, Tensor]
    step: int
    seconds: float
    curve: list[dict[str, Any]]


def flatten_kinds(kinds: Mapping[str, Mapping[str, Tensor]]) -> Tensors:
    """Tensors by kind and name -> the same by `kind.name`, as a checkpoint names them."""
    return {
        f"{kind}.{name}": value
        for kind, by_name in kinds.items()
        for name, value in by_name.items()
    }


def copy_contiguous(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies that training does not change, in the memory layout of files."""
    return {
        name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }


def check_states(model: Model, states: Sequence[CellState]) -> None:
    """ValueError for a saved state that lacks a tensor of the model."""
    for state in states:
        if missing := missing_state(model, state.tensors):
            raise ValueError(
                f"a checkpoint holds no {missing}; delete it to train its cell from the start"
            )


def missing_state(model: Model, tensors: Collection[str]) -> str:
    """The names of a model's state tensors that are not in a checkpoint, comma-separated.

    A checkpoint of an older version may lack some.
    """
    return ", ".join(name for name in state_names(model) if f"state.{name}" not in tensors)
