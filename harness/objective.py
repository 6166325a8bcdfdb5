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

from harness import registry
from harness.choices import Compile
from harness.contract import Batch, Model, Noise
from harness.grid import Cell
from harness.uncollected import uncollected

COMPILE_FROM = 500  # steps; a shorter training is over before compiling pays
Tensors = dict[str, Tensor]
KINDS = 256  # compiled functions that one process may hold


class Parts(NamedTuple):
    """Means over the batch of the loss and of the parts it is made of, loss = rec + β·kl + extra; (cells,) each."""

    loss: Tensor
    rec: Tensor
    kl: Tensor
    extra: Tensor


# Trained parameters, other tensors, batch, noise and β, each (cells, ...) -> slopes of the trained ones, and parts.
Objective = Callable[[Tensors, Tensors, Batch, Noise, Tensor], tuple[Tensors, Parts]]


def eager(model: Model) -> Objective:
    """The objective of any number of cells of a model, of any number of images, one operation after another."""
    losses = vmap(_loss(model))

    def objective(trained: Tensors, other: Tensors, batch: Batch, noise: Noise, beta: Tensor) -> tuple[Tensors, Parts]:
        leaves = {name: value.detach().requires_grad_() for name, value in trained.items()}
        loss, parts = losses(leaves, other, batch, noise, beta)
        slopes = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return dict(zip(leaves, slopes, strict=True)), Parts(*(part.detach() for part in parts))

    return objective


@functools.lru_cache(maxsize=KINDS)
def compiled(kind: Cell, cells: int, device: torch.device, threads: int) -> Objective:
    """The same, compiled for packs of a kind (`engine.key`) and size and kept for the next pack in this process.

    The operations are recorded by `make_fx` in the first call, which takes a quarter of the time that reading the
    bytecode (`torch.compile`) does, and compiled by Inductor, or found among what it compiled on this machine before.
    """
    slopes = vmap(grad(_loss(registry.build(kind).to(device)), has_aux=True))
    made: dict[tuple[tuple[int, ...], ...], Callable[..., Any]] = {}

    def objective(*args: Any) -> tuple[Tensors, Parts]:
        flat, nested = tree_flatten(args)
        layout = tuple(tensor.stride() for tensor in flat)  # shapes are the same for all of a kind and size
        if layout not in made:
            with uncollected():
                made[layout] = _compiled(slopes, flat, nested, threads)
        found: tuple[Tensors, Parts] = made[layout](flat)
        return found

    return objective


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


def _loss(model: Model) -> Callable[[Tensors, Tensors, Batch, Noise, Tensor], tuple[Tensor, Parts]]:
    """One cell's loss, and the parts beside it."""

    def loss(trained: Tensors, other: Tensors, batch: Batch, noise: Noise, beta: Tensor) -> tuple[Tensor, Parts]:
        rec, kl, extra = (part.mean() for part in functional_call(model, trained | other, (batch, noise)))
        whole = rec + beta * kl + extra
        return whole, Parts(whole, rec, kl, extra)

    return loss


def wanted(mode: Compile, iterations: int, device: torch.device) -> bool:
    """Whether a training is to be compiled: "auto" means long ones on CPUs with a C++ compiler.

    On GPUs the gain was never measured, so it has to be asked for.
    """
    if mode != "auto":
        return mode == "always"
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    return iterations >= COMPILE_FROM and device.type == "cpu" and compiler is not None


def used(model: Model, batch: Batch, noise: Noise) -> set[str]:
    """The parameters that the objective depends on: a supervised cell leaves its decoder untouched."""
    named = dict(model.named_parameters())
    rec, kl, extra = (part.mean() for part in model(batch, noise))
    slopes = torch.autograd.grad(rec + kl + extra, list(named.values()), allow_unused=True)
    return {name for name, slope in zip(named, slopes, strict=True) if slope is not None}
