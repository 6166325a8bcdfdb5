"""The buffers of a model: state that training changes besides the parameters."""

import torch
from torch import Tensor

from harness.plugins.model import Model

Tensors = dict[str, Tensor]


def clone_tensors(tensors: Tensors) -> Tensors:
    """A copy of tensors, in the same memory layout, for a step that may change them in place."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


@torch.no_grad()
def restore_buffers(model: Model, buffers: Tensors) -> None:
    """Set a model's buffers to saved values."""
    current = dict(model.named_buffers())
    for name, value in buffers.items():
        current[name].copy_(value)


def state_names(model: Model) -> list[str]:
    """The names of the tensors that a step may change without a gradient.

    They are buffers, and parameters that do not require a gradient.
    """
    fixed = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    return fixed + [name for name, _ in model.named_buffers()]


def load_tensors(model: Model, tensors: Tensors) -> None:
    """Set a model's parameters and buffers to stored ones; ValueError if they do not fit."""
    persistent = model.state_dict()
    try:
        model.load_state_dict({name: v for name, v in tensors.items() if name in persistent})
        restore_buffers(model, {name: v for name, v in tensors.items() if name not in persistent})
    except (RuntimeError, KeyError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ValueError(f"the weights do not fit the model as it is now: {reason}") from error
