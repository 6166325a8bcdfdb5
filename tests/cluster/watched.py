"""A plug-in for the storm: makes training slow and writes down every step, where the environment
asks for it.

`STORM_STEP_SECONDS` are slept in every step, which is then a line of `STORM_LOG`: seconds since
1970, host, process, cell, step.
"""

import os
import socket
import time

from harness.training.trainer import PackTrainer

advance = PackTrainer.train_step


def watched(self: PackTrainer) -> None:
    """One step of a pack, slow and told."""
    advance(self)
    time.sleep(float(os.environ["STORM_STEP_SECONDS"]))
    with open(os.environ["STORM_LOG"], "a") as log:
        for cell in self.cells:
            log.write(
                f"{time.time():.3f} {socket.gethostname()} {os.getpid()} {cell.id} {self.step}\n"
            )


# a process that is used again loads it again
if "STORM_LOG" in os.environ and advance.__name__ != watched.__name__:
    PackTrainer.train_step = watched  # type: ignore[method-assign]
