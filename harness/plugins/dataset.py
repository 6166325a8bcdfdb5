"""A data set as tensors, the same for every model."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Data:
    """A data set.

    train_x, test_x: grey levels 0 to 255 as bytes, (n, PIXELS)
    train_y, test_y: classes (n,), int64
    checksum: over the checksums of its files
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
