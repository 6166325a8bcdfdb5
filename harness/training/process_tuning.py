"""Settings of a process that make it faster: the garbage collector, freed memory, denormal numbers.
"""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_gc() -> Iterator[None]:
    """Pause the garbage collector inside this block.

    Imports and compilation make a million objects that all stay. Searching them for cycles again
    and again takes a third to half of their time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


KEPT_BYTES = 2**28  # freed memory that a process keeps


MMAP_THRESHOLD_BYTES = 2**25  # that glibc takes for a block of its own


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def keep_freed_memory() -> None:
    """Have this process keep the memory that a step frees, for the next one.

    By itself glibc may give it back after every step, and the system then clears thousands of pages
    for each: a fifth of a step of `ssvae`, in processes where the blocks happen to lie so. With
    another C library nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Numbers below 1.2e-38 are zero in this thread: a classifier that is sure of itself has slopes
    of that size.

    CPUs take many times as long on them. A pool of threads has it from the thread that makes it.
    """
    import torch  # slow to import, and needed for nothing else here

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
