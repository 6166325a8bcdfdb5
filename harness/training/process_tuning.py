"""Settings of a process that make it faster.

They concern the garbage collector, freed memory and denormal numbers.
"""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_gc() -> Iterator[None]:
    """Pause the garbage collector inside this block.

    Imports and compilation create a million objects that all stay. Searching them for cycles takes
    a third to half of their time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


KEPT_BYTES = 2**28  # freed memory that a process keeps
MMAP_THRESHOLD_BYTES = 2**25  # larger blocks are mapped separately by glibc
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt


def keep_freed_memory() -> None:
    """Let this process keep the memory that a step frees, for the next step.

    Otherwise glibc may return it to the system after every step, and the system then has to clear
    thousands of pages again. This costs up to a fifth of a step of `ssvae`, depending on where its
    blocks are allocated. With another C library nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Treat numbers below 1.2e-38 as zero in this thread and in threads that it starts.

    CPUs take many times as long with such numbers, and the gradients of a classifier that is
    certain of its classes are that small.
    """
    import torch  # imported here: slow, and only used here

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
