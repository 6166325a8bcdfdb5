"""Lower limit of a step: its matrix products alone, with the same shapes, layout and threads."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.training.trainer import PackTrainer

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
Call = tuple[Callable[..., Tensor], list[Any]]


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            copies = [arg.detach().clone() if isinstance(arg, Tensor) else arg for arg in args]
            self.calls.append((func, copies))
        return func(*args, **(kwargs or {}))


def products(pack: PackTrainer) -> Callable[[], None]:
    """A function that computes every matrix product of one step of the pack, forward and backward,
    and nothing else.
    """
    recorder = _Recorder()
    batch, noise = pack._next_batch()
    with recorder:
        pack.eager_objective(pack.params, pack.untrained, batch, noise, pack.term_weights)
    assert recorder.calls

    def run() -> None:
        for product, args in recorder.calls:
            product(*args)

    return run
