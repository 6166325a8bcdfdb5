"""Data sets as numpy arrays, which Ray's workers map into their memory; tensors would be copied into each."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from harness.data.idx_sets import Data

Arrays = Mapping[str, Mapping[str, Any]]  # by the data set's name and the field's


def plain(sets: Mapping[str, Data]) -> Arrays:
    """Data sets by name, tensors as the arrays that they lie on."""

    def of(value: Any) -> Any:
        return value.numpy() if isinstance(value, torch.Tensor) else value

    return {name: {field: of(value) for field, value in vars(data).items()} for name, data in sets.items()}


def shared(arrays: Mapping[str, Any]) -> Data:
    """The data set on its arrays, without a copy; nothing writes to them."""
    with warnings.catch_warnings(action="ignore"):  # torch warns of arrays that are read-only
        fields: dict[str, Any] = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in arrays.items()
        }
    return Data(**fields)
