"""Memory that a process keeps for the next step."""

import platform
import resource

import pytest

from tests.unit.harness.training.test_gpu_memory import cleared


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library here is not glibc")
def test_memory_that_a_step_frees_is_there_for_the_next() -> None:
    assert cleared("kept") < 1_000 < 10 * 2**20 // resource.getpagesize() < cleared("by itself")
