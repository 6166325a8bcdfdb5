"""Compiled objectives: compiled once for each kind and size of pack, and kept in this process."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.func import grad, vmap
from torch.utils._pytree import tree_flatten

from harness.evaluation.inductor import can_compile, compile_function
from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.experiment.recipe import parse_recipe
from harness.plugins import registry
from harness.plugins.model import Batch, Model, Noise
from harness.plugins.model_state import Tensors, clone_tensors
from harness.training.compiled_code import note_compiled
from harness.training.objective import Objective, StepResult, Weights, make_loss
from harness.training.optimization.precision import with_tf32
from harness.training.process_tuning import paused_gc

MIN_STEPS_TO_COMPILE = 500  # a shorter training ends before compiling pays
MAX_COMPILED_FUNCTIONS = 256  # kept in one process


def compile_objective(kind: Cell, cells: int, device: torch.device, threads: int) -> Objective:
    """The objective of `objective.make_objective`, compiled for one kind and size of pack.

    kind: `Cell.pack_key` of the pack
    cells: cells in the pack

    `make_fx` records the operations in the first call, which takes a quarter of the time that
    `torch.compile` needs to read bytecode. Inductor compiles them, or finds them in its cache on
    this machine.
    """
    return _compile_cached(registry.lookup(kind.model), kind, cells, device, threads)


@functools.lru_cache(maxsize=MAX_COMPILED_FUNCTIONS)
def _compile_cached(
    model: type[Model], kind: Cell, cells: int, device: torch.device, threads: int
) -> Objective:
    """The cache of compiled objectives.

    The class is part of the key: a name may mean another class later in a process, as in a
        notebook.
    """
    precision = parse_recipe(kind.recipe).precision
    loss_function = make_loss(registry.build(kind).to(device), precision)
    gradient_function = vmap(grad(loss_function, has_aux=True))
    compiled_by_layout: dict[tuple[tuple[int, ...], ...], Callable[..., Any]] = {}

    def objective(
        trained: Tensors,
        other: Tensors,
        batch: Batch,
        noise: Noise,
        weights: Weights,
        seeds: Sequence[int] = (),
    ) -> StepResult:
        args = (trained, other, batch.tensors(), noise, dict(weights))
        flat, nested = tree_flatten(args)
        # the shapes are fixed by kind and size, the strides are not
        layout = tuple(tensor.stride() for tensor in flat)
        if layout not in compiled_by_layout:
            # recording runs the step, which may change the state in place
            example, _ = tree_flatten((trained, clone_tensors(other), *args[2:]))
            with paused_gc():
                compiled_by_layout[layout] = compile_function(
                    gradient_function, example, nested, threads
                )
            note_compiled(kind, cells, threads)
        gradients, (parts, state) = compiled_by_layout[layout](flat)
        return gradients, parts, state

    return with_tf32(precision, objective)


def should_compile(mode: Compile, iterations: int, device: torch.device) -> bool:
    """Whether to compile a training; "auto" means long ones on CPUs with a C++ compiler.

    On GPUs the gain has not been measured, so "auto" does not compile there.
    """
    if mode != "auto":
        return mode == "always"
    return iterations >= MIN_STEPS_TO_COMPILE and can_compile(device)


def compiles(kind: Cell, mode: Compile, device: torch.device) -> bool:
    """Whether to compile a kind of cells: `should_compile`, if its model is stackable."""
    return registry.lookup(kind.model).stackable and should_compile(mode, kind.iterations, device)
