"""The objective of a pack: every cell's loss and the slopes of its parameters, as one function, compiled or not.

Parameters are stacked along a first dimension and `torch.func.vmap` runs one cell's gradient over it (HFTA, Wang et
al., MLSys 2021, arXiv 2102.02344). Compiled by Inductor, what stands between two matrix products becomes one
loop over the memory; this takes a C++ compiler and, the first time on a machine, some ten seconds a kind of pack.
"""

import functools
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from harness.experiment.grid import Cell
from harness.experiment.options import Compile
from harness.plugins import registry
from harness.plugins.model import Batch, Model, Noise, Terms
from harness.training.process_tuning import uncollected

COMPILE_FROM = 500  # steps; a shorter training is over before compiling pays
Tensors = dict[str, Tensor]
KINDS = 256  # compiled functions that one process may hold


class Parts(NamedTuple):
    """Means over the batch of the loss and of the parts it is made of, loss = rec + β·kl + extra; (cells,) each.

    A part that the model does not have is nan; `rec` is the exact -log p(x) of a model that gives it as `nll`.
    """

    loss: Tensor
    rec: Tensor
    kl: Tensor
    extra: Tensor


# Trained parameters, other tensors, batch, noise and β, each (cells, ...) -> gradients of the trained ones, parts, and
# the state after the step: those of the other tensors that a step may change.
Objective = Callable[[Tensors, Tensors, Batch, Noise, Tensor], tuple[Tensors, Parts, Tensors]]


def eager(model: Model) -> Objective:
    """The objective of any number of cells of a model, of any number of images, one operation after another."""
    losses = vmap(_loss(model))

    def objective(
        trained: Tensors, other: Tensors, batch: Batch, noise: Noise, beta: Tensor
    ) -> tuple[Tensors, Parts, Tensors]:
        leaves = {name: value.detach().requires_grad_() for name, value in trained.items()}
        loss, (parts, state) = losses(leaves, other, batch, noise, beta)
        slopes = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return dict(zip(leaves, slopes, strict=True)), Parts(*(part.detach() for part in parts)), state

    return objective


def compiled(kind: Cell, cells: int, device: torch.device, threads: int) -> Objective:
    """The same, compiled for packs of a kind (`Cell.pack_key`) and size and kept for the next pack in this process.

    The operations are recorded by `make_fx` in the first call, which takes a quarter of the time that reading the
    bytecode (`torch.compile`) does, and compiled by Inductor, or found among what it compiled on this machine before.
    """
    return _compiled_class(registry.lookup(kind.model), kind, cells, device, threads)


@functools.lru_cache(maxsize=KINDS)
def _compiled_class(model: type[Model], kind: Cell, cells: int, device: torch.device, threads: int) -> Objective:
    """By the class too: a name may stand for another one later in a process, as in a notebook."""
    slopes = vmap(grad(_loss(registry.build(kind).to(device)), has_aux=True))
    made: dict[tuple[tuple[int, ...], ...], Callable[..., Any]] = {}

    def objective(*args: Any) -> tuple[Tensors, Parts, Tensors]:
        flat, nested = tree_flatten(args)
        layout = tuple(tensor.stride() for tensor in flat)  # shapes are the same for all of a kind and size
        if layout not in made:
            example, _ = tree_flatten((args[0], copied(args[1]), *args[2:]))  # recording a step takes it
            with uncollected():
                made[layout] = _compiled(slopes, example, nested, threads)
        gradients, (parts, state) = made[layout](flat)
        return gradients, parts, state

    return objective


def copied(tensors: Tensors) -> Tensors:
    """A copy of tensors that a step may change in place, laid out as they are."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _compiled(function: Callable[..., Any], flat: list[Any], nested: TreeSpec, threads: int) -> Callable[..., Any]:
    """A function of nested tensors compiled for tensors like these, which it takes as a list."""
    from torch._inductor import config, standalone_compile  # two seconds to import, and needed here alone
    from torch.fx.experimental.proxy_tensor import make_fx

    _key_by_versions()
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it misses a CUDA that nobody asked for
    output: list[TreeSpec] = []

    def of_list(*tensors: Tensor) -> list[Tensor]:
        values, form = tree_flatten(function(*tree_unflatten(tensors, nested)))
        output[:] = [form]
        return values

    recorded = make_fx(of_list)(*flat)
    with config.patch({"compile_threads": 1, "cpp.threads": threads}):  # no pool of processes beside a worker
        inner = standalone_compile(recorded, flat, dynamic_shapes="from_example_inputs")
    return lambda tensors: tree_unflatten(inner(*tensors), output[0])


@functools.cache
def _key_by_versions() -> None:
    """Have Inductor find what it compiled before by torch's version, which pins Triton's.

    By itself it reads and sums all files of both, some 1.5 s at the start of every worker; to be told is what `set` of
    its keys is for.
    """
    from torch._inductor import codecache

    version = f"{torch.__version__} {torch.version.git_version}"
    keys: dict[str, str | bytes] = {"torch_key": version.encode(), "triton_key": version}
    for name, value in keys.items():
        tell = getattr(getattr(codecache, name, None), "set", None)
        if tell:
            with suppress(RuntimeError):  # somebody has compiled in this process before us
                tell(value)


def _loss(model: Model) -> Callable[[Tensors, Tensors, Batch, Noise, Tensor], tuple[Tensor, tuple[Parts, Tensors]]]:
    """One cell's loss, and beside it the parts and the state after the step."""
    names = state_names(model)

    def loss(
        trained: Tensors, other: Tensors, batch: Batch, noise: Noise, beta: Tensor
    ) -> tuple[Tensor, tuple[Parts, Tensors]]:
        tensors = trained | other
        parts = weighed(functional_call(model, tensors, (batch, noise)), beta)
        state = {name: tensors[name].detach().clone() for name in names}  # functional_call leaves what was assigned
        return parts.loss, (parts, state)

    return loss


def state_names(model: Model) -> list[str]:
    """The tensors that a step may change without a gradient: buffers, and parameters that ask for none."""
    fixed = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    return fixed + [name for name, _ in model.named_buffers()]


def weighed(terms: Terms, beta: Tensor | float) -> Parts:
    """The means of a model's terms over the batch, and their weighted sum, the loss."""
    rec, kl, extra, nll = (None if part is None else part.mean() for part in terms)
    distortion = rec if nll is None else nll
    given = [part for part in (distortion, None if kl is None else beta * kl, extra) if part is not None]
    loss = functools.reduce(torch.add, given)
    missing = torch.full_like(loss, torch.nan)
    return Parts(loss, *(missing if part is None else part for part in (distortion, kl, extra)))


def wanted(mode: Compile, iterations: int, device: torch.device) -> bool:
    """Whether a training is to be compiled: "auto" means long ones on CPUs with a C++ compiler.

    On GPUs the gain was never measured, so it has to be asked for.
    """
    if mode != "auto":
        return mode == "always"
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    return iterations >= COMPILE_FROM and device.type == "cpu" and compiler is not None


def used(model: Model, batch: Batch, noise: Noise) -> tuple[set[str], bool]:
    """The parameters that the objective depends on, and whether it is an exact likelihood.

    A supervised cell leaves its decoder untouched. Buffers stay as they were.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    before = copied(dict(model.named_buffers()))
    terms = model(batch, noise)
    slopes = torch.autograd.grad(weighed(terms, 1.0).loss, list(named.values()), allow_unused=True)
    restore(model, before)
    return {name for name, slope in zip(named, slopes, strict=True) if slope is not None}, terms.nll is not None


@torch.no_grad()
def restore(model: Model, buffers: Tensors) -> None:
    """Put buffers back as they were."""
    now = dict(model.named_buffers())
    for name, value in buffers.items():
        now[name].copy_(value)
