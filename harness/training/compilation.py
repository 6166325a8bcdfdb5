"""Compiled objectives: made once a kind of pack and kept in this process."""

import functools
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.plugins import registry
from harness.plugins.model import Model
from harness.plugins.model_state import Tensors, copied
from harness.training.objective import Objective, Parts, _loss
from harness.training.process_tuning import uncollected

COMPILE_FROM = 500  # steps; a shorter training is over before compiling pays

KINDS = 256  # compiled functions that one process may hold


def compiled(kind: Cell, cells: int, device: torch.device, threads: int) -> Objective:
    """The same, compiled for packs of a kind (`Cell.pack_key`) and size and kept for the next pack
    in this process.

    The operations are recorded by `make_fx` in the first call, which takes a quarter of the time
    that reading the bytecode (`torch.compile`) does, and compiled by Inductor, or found among what
    it compiled on this machine before.
    """
    return _compiled_class(registry.lookup(kind.model), kind, cells, device, threads)


@functools.lru_cache(maxsize=KINDS)
def _compiled_class(
    model: type[Model], kind: Cell, cells: int, device: torch.device, threads: int
) -> Objective:
    """By the class too: a name may stand for another one later in a process, as in a notebook."""
    slopes = vmap(grad(_loss(registry.build(kind).to(device)), has_aux=True))
    made: dict[tuple[tuple[int, ...], ...], Callable[..., Any]] = {}

    def objective(*args: Any) -> tuple[Tensors, Parts, Tensors]:
        flat, nested = tree_flatten(args)
        # shapes are the same for all of a kind and size
        layout = tuple(tensor.stride() for tensor in flat)
        if layout not in made:
            # recording a step takes it
            example, _ = tree_flatten((args[0], copied(args[1]), *args[2:]))
            with uncollected():
                made[layout] = _compiled(slopes, example, nested, threads)
        gradients, (parts, state) = made[layout](flat)
        return gradients, parts, state

    return objective


def _compiled(
    function: Callable[..., Any], flat: list[Any], nested: TreeSpec, threads: int
) -> Callable[..., Any]:
    """A function of nested tensors compiled for tensors like these, which it takes as a list."""
    # two seconds to import, and needed here alone
    from torch._inductor import config, standalone_compile
    from torch.fx.experimental.proxy_tensor import make_fx

    _key_by_versions()
    # it misses a CUDA that nobody asked for
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    output: list[TreeSpec] = []

    def of_list(*tensors: Tensor) -> list[Tensor]:
        values, form = tree_flatten(function(*tree_unflatten(tensors, nested)))
        output[:] = [form]
        return values

    recorded = make_fx(of_list)(*flat)
    # no pool of processes beside a worker
    with config.patch({"compile_threads": 1, "cpp.threads": threads}):
        inner = standalone_compile(recorded, flat, dynamic_shapes="from_example_inputs")
    return lambda tensors: tree_unflatten(inner(*tensors), output[0])


@functools.cache
def _key_by_versions() -> None:
    """Have Inductor find what it compiled before by torch's version, which pins Triton's.

    By itself it reads and sums all files of both, some 1.5 s at the start of every worker; to be
    told is what `set` of its keys is for.
    """
    from torch._inductor import codecache

    version = f"{torch.__version__} {torch.version.git_version}"
    keys: dict[str, str | bytes] = {"torch_key": version.encode(), "triton_key": version}
    for name, value in keys.items():
        tell = getattr(getattr(codecache, name, None), "set", None)
        if tell:
            with suppress(RuntimeError):  # somebody has compiled in this process before us
                tell(value)


def wanted(mode: Compile, iterations: int, device: torch.device) -> bool:
    """Whether a training is to be compiled: "auto" means long ones on CPUs with a C++ compiler.

    On GPUs the gain was never measured, so it has to be asked for.
    """
    if mode != "auto":
        return mode == "always"
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    return iterations >= COMPILE_FROM and device.type == "cpu" and compiler is not None
