"""The class of Ray's worker processes, and the data sets as arrays that they share. Importing it
imports Ray.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from harness.training.process_tuning import paused_gc

with paused_gc():  # saves 0.4 s at the start of every process
    import numpy as np
    import torch
    from ray import tune

    from harness.execution import trial
    from harness.execution.heartbeat import Heartbeat
    from harness.plugins.dataset import Data
    from harness.storage.store import Store
    from harness.training.task import Task


MIN_HEARTBEAT_SECONDS = 5.0  # at least, between two reports without news


class Worker(tune.Trainable):
    """A process that runs Tune trials one after another, each with some cells of a task."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        """Start the process; `given` holds all tasks and data sets, shared on the node."""
        self.tasks: Sequence[Task] = given["tasks"]
        self.sets: Arrays = given["sets"]
        self.store = Store(self.tasks[0].results)
        self.start_unit(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial into the same process."""
        self.updates.close()
        self.start_unit(new_config)
        return True

    def start_unit(self, config: dict[str, Any]) -> None:
        """Begin the cells that the trial is for."""
        task = self.tasks[config["task"]]
        task = replace(task, cells=tuple(task.cells[place] for place in config["cells"]))
        self.cells = len(task.cells)
        updates = trial.run(task, from_arrays(self.sets[task.cells[0].dataset]), self.store)
        self.updates = Heartbeat(updates, max(task.report_seconds, MIN_HEARTBEAT_SECONDS))

    def step(self) -> dict[str, Any]:
        """The next update, or the last one again if none comes in time."""
        update = self.updates.next()
        return asdict(update) | {"done": len(update.ended) == self.cells}

    def cleanup(self) -> None:
        """End the trial; unfinished cells get checkpoints."""
        self.updates.close()


Arrays = Mapping[str, Mapping[str, Any]]  # by the data set's name and the field's


def to_arrays(sets: Mapping[str, Data]) -> Arrays:
    """Data sets by name, with their tensors as NumPy arrays of the same memory."""

    def to_array(value: Any) -> Any:
        return value.numpy() if isinstance(value, torch.Tensor) else value

    return {
        name: {field: to_array(value) for field, value in vars(data).items()}
        for name, data in sets.items()
    }


def from_arrays(arrays: Mapping[str, Any]) -> Data:
    """The data set of such arrays, without a copy; nothing may write to them."""
    with warnings.catch_warnings(action="ignore"):  # torch warns about read-only arrays
        fields: dict[str, Any] = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in arrays.items()
        }
    return Data(**fields)
