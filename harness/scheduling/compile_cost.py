"""The cost of compiling an objective, estimated from the number of operations in a step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from harness.experiment.cell import Cell
from harness.training.compiled_code import is_compiled
from harness.training.task import MAX_PACK_SIZE, Cost
from harness.training.trainer import PackTrainer

# seconds, and seconds per operation: lines through `ssvae`, `vae`, `gmvae`, `m2` and `m1m2` (187 to
# 1,287 operations) on an AMD EPYC
COMPILE_SECONDS = 4.0, 0.046
LOAD_SECONDS = 0.2, 0.0019


class _OperationCounter(TorchDispatchMode):
    """Counts the operations that torch carries out while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch's hook: true, the default, imports its compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry out an operation, and count it."""
        self.count += 1
        return func(*args, **(kwargs or {}))


def add_compile_cost(cost: Cost, kind: Cell, pack: PackTrainer, threads: int) -> Cost:
    """The cost of a kind with what its compiled code costs before the first step.

    pack: cells of that kind, not compiled; they take one more step
    threads: those of a trial
    """
    with _OperationCounter() as counter:
        pack.train_step()
    sizes = range(1, MAX_PACK_SIZE + 1)
    return replace(
        cost,
        load=_line(LOAD_SECONDS, counter.count),
        compile=_line(COMPILE_SECONDS, counter.count),
        compiled_sizes=frozenset(n for n in sizes if is_compiled(kind, n, threads)),
    )


def _line(seconds: tuple[float, float], operations: int) -> float:
    """A number of seconds, and so many more for each operation."""
    return seconds[0] + seconds[1] * operations
