"""Tensors with a JSON record as safetensors bytes; loading them executes no code."""

import json
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

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
        size = int.from_bytes(content[:8], "little")
        return tensors, json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["record"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(
            f"not a whole safetensors file of {len(content)} bytes ({error})"
        ) from None
