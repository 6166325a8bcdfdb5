"""Measure the cost of a call by the images that it is given."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

FEW_IMAGES, MORE_IMAGES = 2, 50  # of the calls that are timed
TIMED_CALLS = 5  # at most: the first ones are slower
SLOW_CALL_SECONDS = 1.0


@contextmanager
def trial_threads(threads: int) -> Iterator[None]:
    """Give torch the threads of a trial inside this block, at most one for each CPU that is here:
    with more it crawls.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(threads, os.cpu_count() or threads))
    try:
        yield
    finally:
        torch.set_num_threads(before)


class CallCost(NamedTuple):
    """Seconds of a call, and of an image in it."""

    per_call: float
    per_image: float

    def total_seconds(self, images: int, at_once: int) -> float:
        """Seconds of `images` images, `at_once` per call."""
        return -(-images // at_once) * self.per_call + images * self.per_image


def measure_call_cost(call: Callable[[int], object]) -> CallCost:
    """Measure calls of few images and of more; a slow model, such as one that draws pixel by pixel,
    only by the first.
    """
    few = time_call(call, FEW_IMAGES)
    if few > SLOW_CALL_SECONDS:
        return CallCost(few, 0.0)
    image = max(0.0, time_call(call, MORE_IMAGES) - few) / (MORE_IMAGES - FEW_IMAGES)
    return CallCost(max(0.0, few - image * FEW_IMAGES), image)


def time_call(call: Callable[[int], object], images: int) -> float:
    """Seconds of the fastest of a few calls, of fewer if they are slow: CPU time of this thread."""
    times: list[float] = []
    while len(times) < TIMED_CALLS and sum(times) <= SLOW_CALL_SECONDS:
        started = time.thread_time()
        call(images)
        times.append(time.thread_time() - started)
    return min(times)
