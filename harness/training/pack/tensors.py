"""The tensors of the cells of a pack, stacked along a first dimension."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import stack_module_state

from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.model import Batch, Model, Noise
from harness.plugins.model_state import Tensors, clone_tensors
from harness.training import objective
from harness.training.objective import Objective, Weights
from harness.training.optimization.adam import match_memory_layout


class PackTensors(NamedTuple):
    """The trained tensors of a pack, in the memory layout of their gradients, and all others.

    (cells, ...) each. has_exact_nll: whether the model gives an exact likelihood.
    """

    params: Tensors
    untrained: Tensors
    has_exact_nll: bool


def stack_weights(cells: Sequence[Cell], device: torch.device) -> Tensors:
    """The weights of terms that a grid sets, (cells,) each: β and those of further terms."""
    weights = [{"kl": cell.beta, **dict(cell.term_weights)} for cell in cells]
    return {
        name: torch.tensor([by_name[name] for by_name in weights], device=device)
        for name in weights[0]
    }


def stack_tensors(
    models: Sequence[Model], batch: Batch, noise: Noise, compute: Objective, weights: Weights
) -> PackTensors:
    """Stack the tensors of models, and take a step of `compute` to see which ones it trains.

    The batch and the noise are those of the first step, (cells, ...) each.
    """
    params, buffers = stack_module_state(list(models))
    tensors = {name: value.detach() for name, value in (params | buffers).items()}
    trained_names, has_exact_nll = objective.trained_parameters(
        models[0],
        Batch(**{name: part[0] for name, part in batch.tensors().items()}),
        {name: draw[0] for name, draw in noise.items()},
    )
    untrained = {name: value for name, value in tensors.items() if name not in trained_names}
    trained = {name: value for name, value in tensors.items() if name in trained_names}
    gradients, _, _ = compute(trained, clone_tensors(untrained), batch, noise, weights)
    laid_out = {
        name: match_memory_layout(trained[name], gradient) for name, gradient in gradients.items()
    }
    return PackTensors(laid_out, untrained, has_exact_nll)


def build_model(cell: Cell, tensors: Mapping[str, Tensor], device: torch.device) -> Model:
    """The model of a cell with tensors (...) by name, in evaluation mode."""
    model = registry.build(cell).to(device)
    # a tied weight appears once in these
    model_tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    with torch.no_grad():
        for name, value in tensors.items():
            model_tensors[name].copy_(value)
    return model.eval()
