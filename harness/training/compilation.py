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
from harness.plugins.model_state import Tensors, clone_tensors
from harness.training.objective import LossParts, Objective, _make_loss
from harness.training.process_tuning import paused_gc

MIN_STEPS_TO_COMPILE = 500  # steps; a shorter training is over before compiling pays

MAX_COMPILED_FUNCTIONS = 256  # compiled functions that one process may hold


def compile_objective(kind: Cell, cells: int, device: torch.device, threads: int) -> Objective:
    """The same, compiled for packs of a kind (`Cell.pack_key`) and size and kept for the next pack
    in this process.

    The operations are recorded by `make_fx` in the first call, which takes a quarter of the time
    that reading the bytecode (`torch.compile`) does, and compiled by Inductor, or found among what
    it compiled on this machine before.
    """
    return _compile_cached(registry.lookup(kind.model), kind, cells, device, threads)


@functools.lru_cache(maxsize=MAX_COMPILED_FUNCTIONS)
def _compile_cached(
    model: type[Model], kind: Cell, cells: int, device: torch.device, threads: int
) -> Objective:
    """By the class too: a name may stand for another one later in a process, as in a notebook."""
    gradient_function = vmap(grad(_make_loss(registry.build(kind).to(device)), has_aux=True))
    compiled_by_layout: dict[tuple[tuple[int, ...], ...], Callable[..., Any]] = {}

    def objective(*args: Any) -> tuple[Tensors, LossParts, Tensors]:
        flat, nested = tree_flatten(args)
        # shapes are the same for all of a kind and size
        layout = tuple(tensor.stride() for tensor in flat)
        if layout not in compiled_by_layout:
            # recording a step takes it
            example, _ = tree_flatten((args[0], clone_tensors(args[1]), *args[2:]))
            with paused_gc():
                compiled_by_layout[layout] = _compile(gradient_function, example, nested, threads)
        gradients, (parts, state) = compiled_by_layout[layout](flat)
        return gradients, parts, state

    return objective


def _compile(
    function: Callable[..., Any], example: list[Any], structure: TreeSpec, threads: int
) -> Callable[..., Any]:
    """A function of nested tensors compiled for tensors like these, which it takes as a list."""
    # two seconds to import, and needed here alone
    from torch._inductor import config, standalone_compile
    from torch.fx.experimental.proxy_tensor import make_fx

    _set_inductor_keys()
    # it misses a CUDA that nobody asked for
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    output_structures: list[TreeSpec] = []

    def call_flat(*tensors: Tensor) -> list[Tensor]:
        values, form = tree_flatten(function(*tree_unflatten(tensors, structure)))
        output_structures[:] = [form]
        return values

    graph = make_fx(call_flat)(*example)
    # no pool of processes beside a worker
    with config.patch({"compile_threads": 1, "cpp.threads": threads}):
        compiled_graph = standalone_compile(graph, example, dynamic_shapes="from_example_inputs")
    return lambda tensors: tree_unflatten(compiled_graph(*tensors), output_structures[0])


@functools.cache
def _set_inductor_keys() -> None:
    """Have Inductor find what it compiled before by torch's version, which pins Triton's.

    By itself it reads and sums all files of both, some 1.5 s at the start of every worker; to be
    told is what `set` of its keys is for.
    """
    from torch._inductor import codecache

    version = f"{torch.__version__} {torch.version.git_version}"
    keys: dict[str, str | bytes] = {"torch_key": version.encode(), "triton_key": version}
    for name, value in keys.items():
        set_key = getattr(getattr(codecache, name, None), "set", None)
        if set_key:
            with suppress(RuntimeError):  # somebody has compiled in this process before us
                set_key(value)


def should_compile(mode: Compile, iterations: int, device: torch.device) -> bool:
    """Whether a training is to be compiled: "auto" means long ones on CPUs with a C++ compiler.

    On GPUs the gain was never measured, so it has to be asked for.
    """
    if mode != "auto":
        return mode == "always"
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    return iterations >= MIN_STEPS_TO_COMPILE and device.type == "cpu" and compiler is not None
