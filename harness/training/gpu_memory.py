"""How many cells fit on a GPU, measured on small packs."""

import math
from collections.abc import Callable

import torch

# share of the memory for what is not measured: fragmentation, scoring, libraries
RESERVED_SHARE = 0.1
MAX_DATA_SHARE = 0.5  # of a trial's memory for the training images


def max_pack_size(peak_bytes: Callable[[int], int], memory_bytes: int, max_cells: int) -> int:
    """The number of cells whose pack fits into `memory_bytes` bytes, from 1 to `max_cells`.

    peak_bytes: the peak memory of a pack of n cells. It grows by the same amount with every cell,
        so packs of one and of two cells are measured.

    >>> max_pack_size(lambda cells: 100 + 50 * cells, memory_bytes=1000, max_cells=64)
    16
    """
    if max_cells < 3:
        return max_cells
    one = peak_bytes(1)
    try:
        two = peak_bytes(2)
    except torch.OutOfMemoryError:
        return 1
    bytes_per_cell = max(1, two - one)
    bytes_for_cells = memory_bytes * (1 - RESERVED_SHARE) - (one - bytes_per_cell)
    return int(min(max_cells, max(1, bytes_for_cells // bytes_per_cell)))


def available_bytes(device: torch.device, share: float) -> int:
    """Bytes of a GPU's memory that a trial with this share of the GPU may use now."""
    free, total = torch.cuda.mem_get_info(device)
    return int(min(free, total * min(1.0, share)))


def max_data_bytes(device: torch.device, share: float) -> float:
    """Bytes of training images up to which they are moved to the device of a trial."""
    if device.type == "cpu":
        return math.inf
    return MAX_DATA_SHARE * available_bytes(device, share)


def measure_peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Bytes that `work` allocates at its peak on a GPU, beyond what is allocated before."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    allocated_before = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - allocated_before
