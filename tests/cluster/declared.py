"""A plug-in for GPUs that are declared to Ray and not there: trials train on the CPU, and say where
Ray put them.

A trial is a line of `PLACED_LOG`: when it began and ended (s since 1970), host, process, the GPU
that Ray granted, its cells. Without this plug-in a trial whose GPU torch does not see is refused.
"""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from harness.execution.trial import _Trial
from harness.plugins.dataset import Data
from harness.training.task import Update

work = _Trial.run


def placed(self: _Trial, data: Data) -> Iterator[Update]:
    """The work of a trial, on the CPU, and a line on it."""
    self.task, self.device, begun = replace(self.task, gpus=0.0), torch.device("cpu"), time.time()
    try:
        yield from work(self, data)
    finally:
        where = f"{socket.gethostname()} {os.getpid()} {os.environ['CUDA_VISIBLE_DEVICES']}"
        with open(os.environ["PLACED_LOG"], "a") as log:
            log.write(
                f"{begun:.3f} {time.time():.3f} {where} "
                f"{','.join(cell.id for cell in self.task.cells)}\n"
            )


# a process that is used again loads it again
if "PLACED_LOG" in os.environ and work.__name__ != placed.__name__:
    _Trial.run = placed  # type: ignore[method-assign]
