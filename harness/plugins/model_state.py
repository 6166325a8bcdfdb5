"""The buffers of a model: state that training changes beside the parameters."""

import torch
from torch import Tensor

from harness.plugins.model import Model

Tensors = dict[str, Tensor]


def clone_tensors(tensors: Tensors) -> Tensors:
    """A copy of tensors that a step may change in place, laid out as they are."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


@torch.no_grad()
def restore_buffers(model: Model, buffers: Tensors) -> None:
    """Put buffers back as they were."""
    current = dict(model.named_buffers())
    for name, value in buffers.items():
        current[name].copy_(value)


def state_names(model: Model) -> list[str]:
    """The tensors that a step may change without a gradient: buffers, and parameters that ask for
    none.
    """
    fixed = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    return fixed + [name for name, _ in model.named_buffers()]
