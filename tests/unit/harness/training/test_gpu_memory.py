"""How many cells fit into a GPU's memory, and freed memory that the process keeps."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.training import gpu_memory
from harness.training.gpu_memory import RESERVED_SHARE, max_pack_size

BYTES = st.integers(0, 2**40)
EACH = st.integers(1, 2**34)
MOST = st.integers(3, 64)


def growing(base: int, each: int) -> Callable[[int], int]:
    return lambda cells: base + each * cells


@given(BYTES, EACH, BYTES, MOST)
def test_what_fits_leaves_the_reserve_and_one_more_would_not(
    base: int, each: int, room: int, most: int
) -> None:
    cells, usable = max_pack_size(growing(base, each), room, most), room * (1 - RESERVED_SHARE)
    assert 1 <= cells <= most
    assert cells == 1 or base + each * cells <= usable + 1
    assert cells == most or base + each * (cells + 1) > usable - 1


@given(BYTES, EACH, BYTES, BYTES, MOST, MOST)
def test_more_room_or_more_cells_never_fit_fewer(
    base: int, each: int, room: int, more: int, most: int, further: int
) -> None:
    peak = growing(base, each)
    assert max_pack_size(peak, room, most) <= max_pack_size(peak, room + more, most)
    assert max_pack_size(peak, room, most) <= max_pack_size(peak, room, most + further)


@given(BYTES, BYTES, BYTES, MOST)
def test_a_measurement_that_shrinks_still_gives_a_pack(
    one: int, two: int, room: int, most: int
) -> None:
    assert 1 <= max_pack_size(lambda cells: one if cells == 1 else two, room, most) <= most


@given(BYTES, EACH, BYTES, MOST)
def test_packs_of_one_and_of_two_are_measured_once(
    base: int, each: int, room: int, most: int
) -> None:
    measured = []

    def peak(cells: int) -> int:
        measured.append(cells)
        return base + each * cells

    max_pack_size(peak, room, most)
    assert sorted(measured) == [1, 2]


@pytest.mark.parametrize("most", [1, 2])
def test_small_packs_are_not_measured(most: int) -> None:
    assert (
        max_pack_size(lambda cells: pytest.fail("measured"), memory_bytes=0, max_cells=most) == most
    )


@pytest.mark.parametrize(
    ("free", "share", "expected"), [(900, 0.25, 250), (100, 0.25, 100), (900, 2.0, 900)]
)
def test_a_trial_may_use_its_share_of_free_gpu_memory(
    free: int, share: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (free, 1000))
    assert gpu_memory.available_bytes(torch.device("cuda"), share) == expected


def test_where_two_cells_do_not_fit_it_is_one() -> None:
    def peak(cells: int) -> int:
        if cells > 1:
            raise torch.OutOfMemoryError("no room for two")
        return 100

    assert max_pack_size(peak, memory_bytes=150, max_cells=8) == 1


# --- memory kept for the next step ----------------------------------------------------------------

PAGES = """
import resource, sys, torch
from harness.training import process_tuning
if sys.argv[1] == "kept":
    process_tuning.keep_freed_memory()

def step():
    blocks = [torch.ones(6 * 2**20) for _ in range(4)]  # 24 MiB each

for _ in range(8):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def cleared(how: str) -> int:
    """Pages that the system clears for five steps of a new process whose glibc returns memory."""
    gives_back = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", PAGES, how]
    return int(subprocess.check_output(command, env=os.environ | gives_back, text=True))
