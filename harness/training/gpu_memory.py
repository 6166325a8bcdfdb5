"""How many cells fit on a GPU, measured on small packs."""

from collections.abc import Callable

import torch

RESERVE = 0.1  # of the memory, for what the measurement does not see: fragments, scoring, libraries


def fitting(peak: Callable[[int], int], room: int, most: int) -> int:
    """Cells of a pack that fit into `room` bytes, between 1 and `most`, where `peak(n)` is what a
    pack of n takes.

    The peak grows by the same amount with every cell; packs of one and of two tell how much.

    >>> fitting(lambda cells: 100 + 50 * cells, room=1000, most=64)
    16
    """
    if most < 3:
        return most
    one = peak(1)
    try:
        two = peak(2)
    except torch.OutOfMemoryError:
        return 1
    each = max(1, two - one)
    spare = room * (1 - RESERVE) - (one - each)
    return int(min(most, max(1, spare // each)))


def room(device: torch.device, share: float) -> int:
    """Bytes of a GPU's memory that a trial with a share of it may take now."""
    free, total = torch.cuda.mem_get_info(device)
    return int(min(free, total * min(1.0, share)))


def peak(work: Callable[[], object], device: torch.device) -> int:
    """Bytes that some work takes on a GPU beyond what lies there already."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before
