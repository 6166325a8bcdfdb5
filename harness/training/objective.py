"""Loss and gradients of all cells of a pack, compiled or not.

Parameters are stacked along a first dimension, and `torch.func.vmap` runs the gradient of one cell
over it (HFTA, Wang et al., MLSys 2021, arXiv 2102.02344). Inductor compiles the operations between
two matrix products into one loop over memory. This needs a C++ compiler and, the first time on a
machine, some ten seconds for each kind of pack.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from harness.plugins.model import Batch, Model, Noise, Terms, own_draws, own_draws_of
from harness.plugins.model_state import Tensors, clone_tensors, restore_buffers, state_names
from harness.training.optimization.precision import round_layers, with_tf32


class LossParts(NamedTuple):
    """Means over the batch of the loss and its parts, loss = rec + β·kl + extra; (cells,) each.

    `extra` includes the weighted further terms. A part that the model does not have is nan. For a
    model that gives `nll`, `rec` is that exact -log p(x).
    """

    loss: Tensor
    rec: Tensor
    kl: Tensor
    extra: Tensor


Weights = Mapping[str, Tensor]  # "kl" is β; others are those of further terms, 1 if missing
StepResult = tuple[Tensors, LossParts, Tensors]
LossFunction = Callable[
    [Tensors, Tensors, Tensors, Noise, Weights], tuple[Tensor, tuple[LossParts, Tensors]]
]


class Objective(Protocol):
    """Gradients of the trained parameters, parts of the loss, and the state after the step.

    All tensors are (cells, ...). The state is those of the other tensors that a step may change.
    """

    def __call__(
        self,
        trained: Tensors,
        other: Tensors,
        batch: Batch,
        noise: Noise,
        weights: Weights,
        seeds: Sequence[int] = (),
    ) -> StepResult:
        """One step; `seeds` of the cells' own draws, for models that are not stackable."""


def make_objective(model: Model, precision: str = "float32") -> Objective:
    """The objective of a model, not compiled.

    It takes any number of cells and of images. precision: that of the recipe
    """
    make = _make_stacked_objective if model.stackable else _make_looped_objective
    return with_tf32(precision, make(make_loss(model, precision)))


def _make_stacked_objective(loss_function: LossFunction) -> Objective:
    losses = vmap(loss_function)

    def objective(
        trained: Tensors,
        other: Tensors,
        batch: Batch,
        noise: Noise,
        weights: Weights,
        seeds: Sequence[int] = (),
    ) -> StepResult:
        leaves = {name: value.detach().requires_grad_() for name, value in trained.items()}
        loss, (parts, state) = losses(leaves, other, batch.tensors(), noise, dict(weights))
        gradients = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return (
            dict(zip(leaves, gradients, strict=True)),
            LossParts(*(part.detach() for part in parts)),
            state,
        )

    return objective


def _make_looped_objective(loss_function: LossFunction) -> Objective:
    """One cell after the other, each with torch's generator at its own seed."""

    def objective(
        trained: Tensors,
        other: Tensors,
        batch: Batch,
        noise: Noise,
        weights: Weights,
        seeds: Sequence[int] = (),
    ) -> StepResult:
        results = []
        for cell in range(len(next(iter(trained.values())))):
            leaves = {
                name: value[cell].detach().requires_grad_() for name, value in trained.items()
            }
            others, fields, draws, scalars = (
                {name: value[cell] for name, value in tensors.items()}
                for tensors in (other, batch.tensors(), noise, weights)
            )
            with own_draws(seeds[cell] if seeds else 0):
                loss, (parts, state) = loss_function(leaves, others, fields, draws, scalars)
                gradients = torch.autograd.grad(loss, list(leaves.values()))
            results.append((dict(zip(leaves, gradients, strict=True)), parts, state))
        gradients_by_cell, parts_by_cell, states = zip(*results, strict=True)
        stacked = (torch.stack(part).detach() for part in zip(*parts_by_cell, strict=True))
        return _stack_cells(gradients_by_cell), LossParts(*stacked), _stack_cells(states)

    return objective


def _stack_cells(by_cell: Sequence[Tensors]) -> Tensors:
    return {name: torch.stack([tensors[name] for tensors in by_cell]) for name in by_cell[0]}


def make_loss(model: Model, precision: str = "float32") -> LossFunction:
    """The loss of one cell, with its parts and the state after the step."""
    changing = state_names(model)

    def loss(
        trained: Tensors, other: Tensors, fields: Tensors, noise: Noise, weights: Weights
    ) -> tuple[Tensor, tuple[LossParts, Tensors]]:
        tensors = trained | other
        with round_layers(precision):
            terms = functional_call(model, tensors, (Batch(**fields), noise))
        parts = weigh_terms(terms, weights)
        # functional_call leaves the buffers that the model assigned in `tensors`
        state = {name: tensors[name].detach().clone() for name in changing}
        return parts.loss, (parts, state)

    return loss


def weigh_terms(terms: Terms, weights: Mapping[str, Tensor | float]) -> LossParts:
    """The means of a model's terms over the batch, and the loss: their weighted sum, or `loss`.

    weights: "kl" is β, 1 if missing; others are those of further terms, 1 if missing
    """
    rec, kl, extra, nll, whole = (None if part is None else part.mean() for part in terms[:5])
    further = [weights.get(name, 1.0) * term.mean() for name, term in terms.further.items()]
    extra = _add([extra, *further])
    distortion = rec if nll is None else nll
    weighted_kl = None if kl is None else weights.get("kl", 1.0) * kl
    loss = _add([distortion, weighted_kl, extra]) if whole is None else whole
    if loss is None:
        raise ValueError("the model gives no term; expected at least one")
    missing = torch.full_like(loss, torch.nan)
    return LossParts(loss, *(missing if part is None else part for part in (distortion, kl, extra)))


def _add(parts: Sequence[Tensor | None]) -> Tensor | None:
    """The sum of the parts that there are."""
    given = [part for part in parts if part is not None]
    return functools.reduce(torch.add, given) if given else None


def trained_parameters(model: Model, batch: Batch, noise: Noise) -> tuple[set[str], bool]:
    """The names of the parameters that the objective depends on; whether it is exact.

    A supervised cell, for example, does not train its decoder. The objective is exact if it is a
    likelihood and not a bound. The model's buffers are restored afterwards.
    """
    trainable = {
        name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad
    }
    saved_buffers = clone_tensors(dict(model.named_buffers()))
    with own_draws_of(model, 0):
        terms = model(batch, noise)
    gradients = torch.autograd.grad(
        weigh_terms(terms, {}).loss, list(trainable.values()), allow_unused=True
    )
    restore_buffers(model, saved_buffers)
    return {
        name for name, gradient in zip(trainable, gradients, strict=True) if gradient is not None
    }, terms.nll is not None
