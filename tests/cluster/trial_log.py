"""Train on the CPU where Ray has GPUs that do not exist, and log the trials; added to a plug-in.

Each trial adds a line to the file `TRIAL_LOG`: start and end (s since 1970), host, process, the GPU
that Ray assigned, its cells. Without this addition, a trial without a visible GPU is refused.
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


def run_logged(self: _Trial, data: Data) -> Iterator[Update]:
    """Run a trial on the CPU, and log it."""
    self.task, self.device, begun = replace(self.task, gpus=0.0), torch.device("cpu"), time.time()
    try:
        yield from work(self, data)
    finally:
        where = f"{socket.gethostname()} {os.getpid()} {os.environ['CUDA_VISIBLE_DEVICES']}"
        with open(os.environ["TRIAL_LOG"], "a") as log:
            log.write(
                f"{begun:.3f} {time.time():.3f} {where} "
                f"{','.join(cell.id for cell in self.task.cells)}\n"
            )


# a reused process loads the plug-in again
if "TRIAL_LOG" in os.environ and work.__name__ != run_logged.__name__:
    _Trial.run = run_logged  # type: ignore[method-assign]
