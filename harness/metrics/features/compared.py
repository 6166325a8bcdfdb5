"""What metrics of features compare, and their progress."""

from collections.abc import Generator
from typing import NamedTuple, TypeVar

from torch import Tensor

T = TypeVar("T")


class Features(NamedTuple):
    """Features of the test images and of as many samples as are counted."""

    real: Tensor  # (test images, features)
    fake: Tensor  # (samples, features)


def scale_shares(
    work: Generator[float, None, T], end: float, start: float = 0.0
) -> Generator[float, None, T]:
    """The same work as the part of a larger one that lies between the shares `start` and `end`."""
    try:
        while True:
            yield start + next(work) * (end - start)
    except StopIteration as stop:
        result: T = stop.value
        return result
