"""The optimisers of recipes: those of torch, one for each cell of a pack.

The optimiser of a cell works on views of the stacked parameters, so cells of one pack may differ in
learning rate, weight decay, clipping and momentum.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from harness.experiment.cell import Cell
from harness.experiment.recipe import WITH_MOMENTUM, Recipe, parse_recipe
from harness.plugins.model_state import Tensors
from harness.training.optimization.adam import Adam, memory_order
from harness.training.optimization.schedules import learning_rate_factor

if TYPE_CHECKING:
    from torch.optim import Optimizer

# the tensors that torch's optimisers keep for each parameter, by their keys
STATE_KINDS = {
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "adamax": ("exp_avg", "exp_inf"),
    "rmsprop": ("square_avg", "momentum_buffer"),
    "sgd": ("momentum_buffer",),
}
CLASS_NAMES = {
    "adam": "Adam",
    "adamw": "AdamW",
    "adamax": "Adamax",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}
FUSED = ("adam", "adamw", "sgd")  # those with a fused step on CPUs and GPUs
CLIP_EPSILON = 1e-6  # that of torch.nn.utils.clip_grad_norm_


class PackOptimizer(Protocol):
    """The optimiser of a pack.

    state: the tensors that a step changes, (cells, ...) each, by kind and name of the parameter
    step: steps taken; set when a training is resumed
    """

    step: int

    @property
    def state(self) -> Mapping[str, Tensors]:
        """See above; the tensors are changed in place."""

    def apply_gradients(self, gradients: Mapping[str, Tensor]) -> None:
        """Change the parameters in place by one step; gradients (cells, ...) by name."""


def make_optimizer(params: Tensors, cells: Sequence[Cell]) -> PackOptimizer:
    """The optimiser of the cells of a pack, for parameters (cells, ...).

    Where all cells step as the default recipe says, it is the fused Adam.
    """
    if all(parse_recipe(cell.recipe).has_default_steps for cell in cells):
        return Adam(params, [cell.learning_rate for cell in cells])
    return CellOptimizers(params, cells)


class CellOptimizers:
    """One of torch's optimisers for each cell, all of one kind, with clipping and schedules.

    Fused steps read memory from start to end. So parameters, state and gradients are passed with
    their dimensions in the order of the parameter's memory, as in `adam.Adam`.
    """

    def __init__(self, params: Tensors, cells: Sequence[Cell]):
        kinds = STATE_KINDS[parse_recipe(cells[0].recipe).optimizer]
        self.state = {
            kind: {name: torch.zeros_like(value) for name, value in params.items()}
            for kind in kinds
        }
        self._orders = {name: memory_order(value) for name, value in params.items()}
        self._optimizers = [
            _CellOptimizer(
                cell,
                self._views(params, index),
                {kind: self._views(tensors, index) for kind, tensors in self.state.items()},
            )
            for index, cell in enumerate(cells)
        ]
        self._step = 0

    @property
    def step(self) -> int:
        """Steps taken; set when a training is resumed."""
        return self._step

    @step.setter
    def step(self, taken: int) -> None:
        self._step = taken
        for optimizer in self._optimizers:
            optimizer.set_step(taken)

    def apply_gradients(self, gradients: Mapping[str, Tensor]) -> None:
        """Take one step of every cell."""
        for index, optimizer in enumerate(self._optimizers):
            in_order = [gradient.contiguous() for gradient in self._views(gradients, index)]
            optimizer.apply_gradients(in_order, self._step)
        self._step += 1

    def _views(self, tensors: Mapping[str, Tensor], index: int) -> list[Tensor]:
        """The tensors of one cell, their dimensions in the order of the parameters' memory."""
        return [tensors[name].permute(order)[index] for name, order in self._orders.items()]


class _CellOptimizer:
    """The optimiser of one cell: torch's, with the cell's recipe.

    params: views of the parameters
    state: views of the state by kind, in the order of `params`
    """

    def __init__(self, cell: Cell, params: list[Tensor], state: Mapping[str, list[Tensor]]):
        self.recipe, self.learning_rate = parse_recipe(cell.recipe), cell.learning_rate
        self.iterations, self.params = cell.iterations, params
        self.optimizer = _make_torch_optimizer(self.recipe, params, cell.learning_rate)
        for index, parameter in enumerate(params):
            # what torch makes in its first step, if it is not there
            self.optimizer.state[parameter] = {
                "step": torch.zeros((), device=self._step_device(parameter)),
                **{kind: tensors[index] for kind, tensors in state.items()},
            }

    def _step_device(self, parameter: Tensor) -> torch.device:
        return parameter.device if self.recipe.optimizer in FUSED else torch.device("cpu")

    def set_step(self, taken: int) -> None:
        """Set the number of steps taken."""
        for parameter in self.params:
            self.optimizer.state[parameter]["step"].fill_(taken)

    def apply_gradients(self, gradients: list[Tensor], step: int) -> None:
        """Take step `step`, counted from 0."""
        factor = learning_rate_factor(self.recipe, step, self.iterations)
        self.optimizer.param_groups[0]["lr"] = self.learning_rate * factor
        if self.recipe.clip:
            gradients = clip_by_norm(gradients, self.recipe.clip)
        for parameter, gradient in zip(self.params, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def _make_torch_optimizer(recipe: Recipe, params: list[Tensor], rate: float) -> "Optimizer":
    # imported here: it imports a compiler, which takes a second
    from torch import optim

    keywords: dict[str, Any] = {"lr": rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer in WITH_MOMENTUM:
        keywords["momentum"] = recipe.momentum
    if recipe.optimizer in FUSED:
        keywords["fused"] = True
    optimizer: Optimizer = getattr(optim, CLASS_NAMES[recipe.optimizer])(params, **keywords)
    return optimizer


def clip_by_norm(gradients: Sequence[Tensor], limit: float) -> list[Tensor]:
    """Gradients of one cell, scaled down so that their common 2-norm is at most `limit`.

    As torch.nn.utils.clip_grad_norm_ (Pascanu et al. 2013), but not in place, and without waiting
    for the device.
    """
    norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    factor = (limit / (norm + CLIP_EPSILON)).clamp(max=1.0)
    return [gradient * factor for gradient in gradients]
