"""The class of Ray's processes. Only they, and the driver's Tune, import it: it brings Ray."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from harness.execution import trial
from harness.execution.arrays import Arrays, shared
from harness.execution.heartbeat import Heartbeat
from harness.execution.trial import Task
from harness.training.process_tuning import uncollected

with uncollected():  # two seconds of every process's start
    from ray import tune


BEAT_SECONDS = 5.0  # at least, between two reports without news


class Worker(tune.Trainable):
    """Trials of Tune, one after another, each a part of a task; `trial.run` is what they do."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        """A process starts: with every task of the run, and the arrays of its data sets, both shared on its node."""
        self.tasks: Sequence[Task] = given["tasks"]
        self.sets: Arrays = given["sets"]
        self.begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The same process goes on with another part of the plan."""
        self.updates.close()
        self.begin(new_config)
        return True

    def begin(self, config: dict[str, Any]) -> None:
        """Begin with the cells of a task that the trial is for."""
        task = self.tasks[config["task"]]
        task = replace(task, cells=tuple(task.cells[place] for place in config["cells"]))
        self.cells = len(task.cells)
        updates = trial.run(task, shared(self.sets[task.cells[0].dataset]))
        self.updates = Heartbeat(updates, max(task.report_seconds, BEAT_SECONDS))

    def step(self) -> dict[str, Any]:
        """Go on to the next update, or the last one again if it is long in coming."""
        update = self.updates.next()
        return asdict(update) | {"done": len(update.ended) == self.cells}

    def cleanup(self) -> None:
        """End, with checkpoints where the trial has not ended."""
        self.updates.close()
