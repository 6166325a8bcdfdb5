"""What every launcher of trials offers, the resources of a trial, and the launcher without Ray.

Launchers are handed a finished plan. Workers write the rows; nothing is read back from Ray Tune.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from harness.errors import InputError
from harness.execution import trial
from harness.execution.shutdown import StopRequest
from harness.plugins.dataset import Data
from harness.storage.store import Store
from harness.training.task import Task, Update

UpdateCallback = Callable[[int, Update], None]


@dataclass(frozen=True)
class Resources:
    """What one trial is granted; GPUs may be a fraction."""

    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.cpus < 1:
            raise InputError(f"CPUs per trial {self.cpus}: expected at least 1")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise InputError(
                f"GPUs per trial {self.gpus:g}: expected a fraction of one GPU or an integer"
            )

    def slots(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """Number of concurrent trials; InputError if no node can run one: Ray would wait forever.

        A trial runs on one node, and a fraction of a GPU is on one GPU, so remainders on several
        nodes do not add up.

        >>> Resources(cpus=1, gpus=0.4).slots([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 64.0}])
        4
        """
        slots = sum(map(self.slots_on, nodes))
        if slots < 1:
            required = f"{self.cpus} CPUs and {self.gpus:g} GPUs"
            available = " or ".join(
                sorted(
                    {f"{n.get('CPU', 0.0):g} CPUs and {n.get('GPU', 0.0):g} GPUs" for n in nodes}
                )
            )
            raise InputError(
                f"a trial needs {required} on one machine; available: {available or 'no machine'}"
            )
        return slots

    def slots_on(self, node: Mapping[str, float]) -> int:
        """Trials that fit on a node."""
        cpus, gpus = node.get("CPU", 0.0), node.get("GPU", 0.0)
        by_cpu = int(cpus // self.cpus)
        if not self.gpus:
            return by_cpu
        if self.gpus >= 1:
            return min(by_cpu, int(gpus // self.gpus))
        return min(by_cpu, int(gpus) * int(1 / self.gpus + 1e-9))  # 1 // 0.1 is 9

    def local_slots(self) -> int:
        """Trials side by side on this machine, at least one: a plan for GPUs can be made where
        there are none.
        """
        return max(
            1, self.slots_on({"CPU": os.cpu_count() or 1, "GPU": max(1, torch.cuda.device_count())})
        )

    def grant(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks with their threads and device."""
        return [replace(task, threads=self.cpus, gpus=self.gpus) for task in tasks]


class Launcher(Protocol):
    """Runs tasks, `slots` of them side by side, and passes on their updates."""

    slots: int

    def run(
        self,
        tasks: Sequence[Task],
        sets: Mapping[str, Data],
        store: Store,
        on_update: UpdateCallback,
        stop: StopRequest,
    ) -> None:
        """Run all tasks on the data sets, by name, and write rows to the store.

        `on_update(index, update)` is called with the updates of task `index`. Every cell has a
        row at the end. After `stop` is requested trials save checkpoints, and KeyboardInterrupt
        is raised.
        """

    def close(self) -> None:
        """Release what the launcher holds."""


class InProcess:
    """Runs one task after another in this process: for tests and machines without Ray."""

    slots = 1

    def __init__(self, resources: Resources):
        self.resources = resources

    def run(
        self,
        tasks: Sequence[Task],
        sets: Mapping[str, Data],
        store: Store,
        on_update: UpdateCallback,
        stop: StopRequest,
    ) -> None:
        """Run the tasks in order."""
        for index, task in enumerate(self.resources.grant(tasks)):
            updates = trial.run(task, sets[task.cells[0].dataset], store)
            for update in updates:
                on_update(index, update)
                if stop.requested:
                    updates.close()
                    raise KeyboardInterrupt

    def close(self) -> None:
        """Does nothing: all is in this process."""
