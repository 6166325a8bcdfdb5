"""Runs trials one after another in this process: for tests, debugging and machines without Ray."""

from collections.abc import Mapping, Sequence

from harness.execution import trial
from harness.execution.launcher import Resources, UpdateCallback
from harness.execution.shutdown import StopRequest
from harness.plugins.dataset import Data
from harness.storage.store import Store
from harness.training.task import Task


class InProcess:
    """One task after another in this process: for tests, debugging and machines without Ray."""

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
