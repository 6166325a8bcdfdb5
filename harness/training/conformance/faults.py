"""How a check says that a model does not keep the contract."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from harness.errors import InputError

# part of an error message of torch.func.vmap or autograd -> the same in words of the contract
CAUSES = {
    "random operation": "draws random numbers itself: take them from `noise`",
    ".item()": "looks at the value of a tensor (.item()): use tensor operations instead",
    "data-dependent control flow": "decides by the value of a tensor (if, while): use "
    "torch.where instead",
    "dynamic shape": "makes a shape depend on values (a boolean mask, nonzero): multiply by the "
    "mask instead",
    "Cannot access data pointer": "leaves torch (.numpy(), a kernel of its own): use tensor "
    "operations instead",
    "doesn't match the "
    "broadcast shape": "adds in place to a tensor that it made: write a = a + b instead of a += b",
    "vmap: inplace arithmetic": "changes in place a tensor that it made: write a = a + b instead "
    "of a += b",
    "requires_grad_()": "differentiates with torch.autograd: use torch.func.grad instead",
    "were not batched": "keeps running statistics outside its buffers: register them in the "
    "constructor",
}


class ContractError(Exception):
    """A model does not keep the contract.

    The message says how, as the rest of a sentence that begins with the model's name.
    """


@contextmanager
def convert_errors(what: str) -> Iterator[None]:
    """Raise errors inside this block as a ContractError about `what`."""
    try:
        yield
    except (ContractError, InputError):
        raise
    except Exception as error:
        raise ContractError(_explain(what, error)) from error


def _explain(what: str, error: Exception) -> str:
    text = str(error)
    for mark, cause in CAUSES.items():
        if mark in text:
            return f"{cause} (in {what}); or set `stackable = False`"
    if text.startswith("Batching rule not implemented for "):
        return (
            f"uses {text.split()[5].rstrip('.;')}, which torch.func.vmap cannot stack (in {what}): "
            "set `stackable = False`"
        )
    return f"fails in {what}: {format_error(error)}"


def format_error(error: Exception) -> str:
    """The type of an error and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason given'])[0]}"


def check_numbers(name: str, part: object, shapes: tuple[tuple[int, ...], ...]) -> None:
    """ContractError unless a part is finite floats of one of the shapes."""
    if not isinstance(part, Tensor):
        raise ContractError(f"gives {name} as {type(part).__name__}; expected a tensor")
    if tuple(part.shape) not in shapes:
        expected = " or ".join("one number" if shape == () else str(shape) for shape in shapes)
        raise ContractError(f"gives {name} of shape {tuple(part.shape)}; expected {expected}")
    if not part.is_floating_point():
        raise ContractError(f"gives {name} as {part.dtype}; expected floats")
    if not part.isfinite().all():
        raise ContractError(f"gives {name} that is not finite, with fresh weights")
