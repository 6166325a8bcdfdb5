"""The class of Ray's worker processes, and the data sets as arrays that they share. Importing it
imports Ray.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from harness.execution import trial
from harness.execution.heartbeat import Heartbeat
from harness.plugins.dataset import Data
from harness.storage.store import Store
from harness.training.process_tuning import paused_gc
from harness.training.task import Task

with paused_gc():  # two seconds of every process's start
    from ray import tune


MIN_HEARTBEAT_SECONDS = 5.0  # at least, between two reports without news


class Worker(tune.Trainable):
    """Trials of Tune, one after another, each a part of a task; `trial.run` is what they do."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        """A process starts: with every task of the run, and the arrays of its data sets, both
        shared on its node.
        """
        self.tasks: Sequence[Task] = given["tasks"]
        self.sets: Arrays = given["sets"]
        self.store = Store(self.tasks[0].results)
        self.start_unit(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The same process goes on with another part of the plan."""
        self.updates.close()
        self.start_unit(new_config)
        return True

    def start_unit(self, config: dict[str, Any]) -> None:
        """Begin with the cells of a task that the trial is for."""
        task = self.tasks[config["task"]]
        task = replace(task, cells=tuple(task.cells[place] for place in config["cells"]))
        self.cells = len(task.cells)
        updates = trial.run(task, from_arrays(self.sets[task.cells[0].dataset]), self.store)
        self.updates = Heartbeat(updates, max(task.report_seconds, MIN_HEARTBEAT_SECONDS))

    def step(self) -> dict[str, Any]:
        """Go on to the next update, or the last one again if it is long in coming."""
        update = self.updates.next()
        return asdict(update) | {"done": len(update.ended) == self.cells}

    def cleanup(self) -> None:
        """End, with checkpoints where the trial has not ended."""
        self.updates.close()


Arrays = Mapping[str, Mapping[str, Any]]  # by the data set's name and the field's


def to_arrays(sets: Mapping[str, Data]) -> Arrays:
    """Data sets by name, tensors as the arrays that they lie on."""

    def to_array(value: Any) -> Any:
        return value.numpy() if isinstance(value, torch.Tensor) else value

    return {
        name: {field: to_array(value) for field, value in vars(data).items()}
        for name, data in sets.items()
    }


def from_arrays(arrays: Mapping[str, Any]) -> Data:
    """The data set on its arrays, without a copy; nothing writes to them."""
    with warnings.catch_warnings(action="ignore"):  # torch warns of arrays that are read-only
        fields: dict[str, Any] = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in arrays.items()
        }
    return Data(**fields)
