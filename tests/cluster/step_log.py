"""Slow down training and log every step, as an addition to a plug-in.

Each step sleeps for `STEP_SECONDS`, then adds a line to the file `STEP_LOG`: seconds since 1970,
host, process, cell, step. Nothing changes if `STEP_LOG` is not set.
"""

import os
import socket
import time

from harness.training.trainer import PackTrainer

advance = PackTrainer.train_step


def train_logged_step(self: PackTrainer) -> None:
    """Train one step of a pack, sleep, and log it."""
    advance(self)
    time.sleep(float(os.environ["STEP_SECONDS"]))
    with open(os.environ["STEP_LOG"], "a") as log:
        for cell in self.cells:
            log.write(
                f"{time.time():.3f} {socket.gethostname()} {os.getpid()} {cell.id} {self.step}\n"
            )


# a reused process loads the plug-in again
if "STEP_LOG" in os.environ and advance.__name__ != train_logged_step.__name__:
    PackTrainer.train_step = train_logged_step  # type: ignore[method-assign]
