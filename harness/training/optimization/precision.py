"""The precision of the products of layers in training: float32, TensorFloat-32 or bfloat16.

Only what networks are made of is changed: linear layers and convolutions, forward and backward.
Densities, the loss, the optimiser and all scores stay float32, and so do matrix products that a
model writes itself, as in a mixture's density. `torch.autocast` would also compute densities with
the 8 bits of bfloat16, which hold a loss of 100 nats to half a nat.

Mixed precision: Micikevicius et al., ICLR 2018, arXiv 1710.03740. bfloat16: Kalamkar et al. 2019,
arXiv 1905.12322.
"""

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

P = ParamSpec("P")
Result = TypeVar("Result")
# layer, weights and bias: (input, weight, bias, ...)
LAYERS = frozenset(
    {
        F.linear,
        torch.conv1d,
        torch.conv2d,
        torch.conv3d,
        torch.conv_transpose1d,
        torch.conv_transpose2d,
        torch.conv_transpose3d,
    }
)


class Bfloat16Layers(TorchFunctionMode):
    """Layers multiply in bfloat16, with inputs, outputs and weights that stay float32.

    A layer of another precision, such as float64, is left as it is.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch; a layer with rounded tensors."""
        named = dict(kwargs or {})
        if func not in LAYERS:
            return func(*args, **named)
        rounded = [_round(value) for value in (*args, *named.values())]
        result = func(*rounded[: len(args)], **dict(zip(named, rounded[len(args) :], strict=True)))
        is_unchanged = all(map(operator.is_, rounded, (*args, *named.values())))
        return result if is_unchanged else result.float()


def _round(value: Any) -> Any:
    is_float = isinstance(value, Tensor) and value.dtype == torch.float32
    return value.bfloat16() if is_float else value


def round_layers(precision: str) -> AbstractContextManager[Any]:
    """What the forward pass of a model runs in; the backward pass follows from it."""
    return Bfloat16Layers() if precision == "bf16" else nullcontext()


def with_tf32(precision: str, step: Callable[P, Result]) -> Callable[P, Result]:
    """A step whose products run in TensorFloat-32 if the precision says so, on a GPU."""
    if precision != "tf32":
        return step

    @functools.wraps(step)
    def in_tf32(*args: P.args, **kwargs: P.kwargs) -> Result:
        with _allow_tf32():
            return step(*args, **kwargs)

    return in_tf32


@contextmanager
def _allow_tf32() -> Iterator[None]:
    """Let CUDA's products round to TensorFloat-32."""
    owners: Sequence[Any] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [owner.allow_tf32 for owner in owners]
    try:
        for owner in owners:
            owner.allow_tf32 = True
        yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            owner.allow_tf32 = value
