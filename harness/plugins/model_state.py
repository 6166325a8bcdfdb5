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
