"""Compile functions of nested tensors with Inductor, whose code this machine keeps."""

import functools
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten


def can_compile(device: torch.device) -> bool:
    """Whether there is a C++ compiler, for a CPU; on GPUs the gain has not been measured."""
    return device.type == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is not None


def compile_function(
    function: Callable[..., Any], example: list[Any], structure: TreeSpec, threads: int
) -> Callable[..., Any]:
    """A function of nested tensors, compiled for tensors of the shapes of `example`.

    The compiled function takes the tensors as a flat list.
    """
    # imported here: it takes two seconds and is only used here
    from torch._inductor import config, standalone_compile
    from torch.fx.experimental.proxy_tensor import make_fx

    set_inductor_keys()
    # it warns that CUDA is missing
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    output_structures: list[TreeSpec] = []

    def call_flat(*tensors: Tensor) -> list[Tensor]:
        values, form = tree_flatten(function(*tree_unflatten(tensors, structure)))
        output_structures[:] = [form]
        return values

    graph = make_fx(call_flat)(*example)
    # a worker must not start a pool of compiler processes
    with config.patch({"compile_threads": 1, "cpp.threads": threads}):
        compiled_graph = standalone_compile(graph, example, dynamic_shapes="from_example_inputs")
    return lambda tensors: tree_unflatten(compiled_graph(*tensors), output_structures[0])


@functools.cache
def set_inductor_keys() -> None:
    """Let Inductor identify cached code by torch's version, which also pins Triton's.

    By default it reads and hashes all files of both, some 1.5 s at the start of every worker. Its
    keys have a method `set` for this purpose.
    """
    from torch._inductor import codecache

    version = f"{torch.__version__} {torch.version.git_version}"
    keys: dict[str, str | bytes] = {"torch_key": version.encode(), "triton_key": version}
    for name, value in keys.items():
        set_key = getattr(getattr(codecache, name, None), "set", None)
        if set_key:
            with suppress(RuntimeError):  # something was compiled in this process before
                set_key(value)
