"""A data set as tensors, the same for every model."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Data:
    """A data set: grey levels 0-255 as bytes, (n, PIXELS), classes, (n,) int64, and a checksum over
    all four files.
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    checksum: str

    def to(self, device: torch.device) -> "Data":
        """The same data on a device."""
        train, test = (
            (self.train_x.to(device), self.train_y.to(device)),
            (self.test_x.to(device), self.test_y.to(device)),
        )
        return Data(self.name, *train, *test, self.checksum)
