"""Tensors with a JSON record as safetensors bytes; loading them executes no code."""

import json
from collections.abc import Callable
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

FIRST_READ_BYTES = 2**16  # holds the header of most files; a longer one is a second read
LENGTH_BYTES = 8  # of the header's length, an unsigned little-endian integer at the start
CONTIGUOUS = torch.contiguous_format  # each tensor is copied, so views are stored by value


def dump(tensors: dict[str, Tensor], record: dict[str, Any]) -> bytes:
    """The bytes of a safetensors file with tensors by name and a record."""
    contiguous = {
        name: tensor.detach().cpu().clone(memory_format=CONTIGUOUS)
        for name, tensor in tensors.items()
    }
    return safetensors.torch.save(contiguous, {"record": json.dumps(record)})


def parse(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record in the bytes of `dump`; ValueError if they are incomplete."""
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[LENGTH_BYTES : _header_end(content)])
        return tensors, json.loads(header["__metadata__"]["record"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(
            f"not a whole safetensors file of {len(content)} bytes ({error})"
        ) from None


def read_header(
    read_start: Callable[[int], bytes | None], size: int
) -> tuple[set[str], dict[str, Any]]:
    """The tensors' names and the record of a file of `size` bytes, without its tensors.

    `read_start(n)` gives the first n bytes of the file. ValueError where the header is damaged or
    the file is shorter or longer than its tensors. The format: huggingface.co/docs/safetensors.
    """
    start = read_start(FIRST_READ_BYTES) or b""
    end = _header_end(start)
    if len(start) < end <= size:
        start = read_start(end) or b""
    try:
        tensors = json.loads(start[LENGTH_BYTES:end])
        record = json.loads(tensors.pop("__metadata__")["record"])
        data_bytes = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ValueError(f"not a safetensors header ({error})") from None
    if end + data_bytes != size:
        raise ValueError(f"{end + data_bytes} bytes expected, {size} found")
    return set(tensors), record


def _header_end(start: bytes) -> int:
    """Where the tensors begin, in bytes."""
    return LENGTH_BYTES + int.from_bytes(start[:LENGTH_BYTES], "little")
