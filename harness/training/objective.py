"""Loss and gradients of all cells of a pack, compiled or not.

Parameters are stacked along a first dimension, and `torch.func.vmap` runs the gradient of one cell
over it (HFTA, Wang et al., MLSys 2021, arXiv 2102.02344). Inductor compiles the operations between
two matrix products into one loop over memory. This needs a C++ compiler and, the first time on a
machine, some ten seconds for each kind of pack.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from harness.plugins.model import Batch, Model, Noise, Terms
from harness.plugins.model_state import Tensors, clone_tensors, restore_buffers, state_names


class LossParts(NamedTuple):
    """Means over the batch of the loss and its parts, loss = rec + β·kl + extra; (cells,) each.

    A part that the model does not have is nan. For a model that gives `nll`, `rec` is that exact
    -log p(x).
    """

    loss: Tensor
    rec: Tensor
    kl: Tensor
    extra: Tensor


# (trained parameters, other tensors, batch, noise, β), each (cells, ...) -> (gradients of the
# trained parameters, parts of the loss, state after the step). The state is those of the other
# tensors that a step may change.
Objective = Callable[[Tensors, Tensors, Batch, Noise, Tensor], tuple[Tensors, LossParts, Tensors]]


def make_objective(model: Model) -> Objective:
    """The objective of a model, not compiled.

    It takes any number of cells and of images.
    """
    losses = vmap(_make_loss(model))

    def objective(
        trained: Tensors, other: Tensors, batch: Batch, noise: Noise, beta: Tensor
    ) -> tuple[Tensors, LossParts, Tensors]:
        leaves = {name: value.detach().requires_grad_() for name, value in trained.items()}
        loss, (parts, state) = losses(leaves, other, batch, noise, beta)
        gradients = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return (
            dict(zip(leaves, gradients, strict=True)),
            LossParts(*(part.detach() for part in parts)),
            state,
        )

    return objective


def _make_loss(
    model: Model,
) -> Callable[[Tensors, Tensors, Batch, Noise, Tensor], tuple[Tensor, tuple[LossParts, Tensors]]]:
    """The loss of one cell, with its parts and the state after the step."""
    changing = state_names(model)

    def loss(
        trained: Tensors, other: Tensors, batch: Batch, noise: Noise, beta: Tensor
    ) -> tuple[Tensor, tuple[LossParts, Tensors]]:
        tensors = trained | other
        parts = weigh_terms(functional_call(model, tensors, (batch, noise)), beta)
        # functional_call leaves the buffers that the model assigned in `tensors`
        state = {name: tensors[name].detach().clone() for name in changing}
        return parts.loss, (parts, state)

    return loss


def weigh_terms(terms: Terms, beta: Tensor | float) -> LossParts:
    """The means of a model's terms over the batch, and the loss, their weighted sum."""
    rec, kl, extra, nll = (None if part is None else part.mean() for part in terms)
    distortion = rec if nll is None else nll
    summands = [
        part for part in (distortion, None if kl is None else beta * kl, extra) if part is not None
    ]
    loss = functools.reduce(torch.add, summands)
    missing = torch.full_like(loss, torch.nan)
    return LossParts(loss, *(missing if part is None else part for part in (distortion, kl, extra)))


def trained_parameters(model: Model, batch: Batch, noise: Noise) -> tuple[set[str], bool]:
    """The names of the parameters that the objective depends on; whether it is exact.

    A supervised cell, for example, does not train its decoder. The objective is exact if it is a
    likelihood and not a bound. The model's buffers are restored afterwards.
    """
    trainable = {
        name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad
    }
    saved_buffers = clone_tensors(dict(model.named_buffers()))
    terms = model(batch, noise)
    gradients = torch.autograd.grad(
        weigh_terms(terms, 1.0).loss, list(trainable.values()), allow_unused=True
    )
    restore_buffers(model, saved_buffers)
    return {
        name for name, gradient in zip(trainable, gradients, strict=True) if gradient is not None
    }, terms.nll is not None
