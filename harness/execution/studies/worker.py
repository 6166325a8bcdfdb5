"""The process that trains the trials of a study, one after another. Importing it imports Ray."""

from typing import Any

from harness.training.process_tuning import paused_gc

with paused_gc():
    from ray import tune

    from harness.execution import trial
    from harness.execution.ray_worker import Arrays, from_arrays
    from harness.storage.layout import checkpoint_key
    from harness.storage.store import Store
    from harness.training.task import Task, Update


class StudyWorker(tune.Trainable):
    """Trains one cell in a Tune trial; a report for each point of its curve with the metric."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        """Start the process; `given` holds the data sets, shared on the node, and the metric."""
        self.sets: Arrays = given["sets"]
        self.metric: str = given["metric"]
        self.store = Store(config["task"].results)
        self.start_cell(config["task"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial into the same process."""
        self.cleanup()
        self.start_cell(new_config["task"])
        return True

    def start_cell(self, task: Task) -> None:
        """Begin the cell of a task."""
        (self.cell,) = task.cells
        self.curve: list[Any] = []
        self.reported_step = 0
        self.updates = trial.run(task, from_arrays(self.sets[self.cell.dataset]), self.store)

    def step(self) -> dict[str, Any]:
        """Train until the next point with the metric, or to the end, and report it.

        RuntimeError, which makes a failed trial for Tune, where the cell ends without a value; its
        row is written.
        """
        for update in self.updates:
            self.curve += [point for _, point in update.points]
            ended = update.ended.get(self.cell.id, "")
            has_value = update.row.get(self.metric) is not None
            if ended and (ended != "ok" or not has_value):
                raise RuntimeError(f"the trial ended as {ended} without {self.metric}")
            # that of the last step comes with the row
            is_new = has_value and self.reported_step < update.row["step"] < self.cell.iterations
            if ended or is_new:
                return self._report(update, ended)
        raise RuntimeError("the trial ended without a row")

    def _report(self, update: Update, ended: str) -> dict[str, Any]:
        self.reported_step = update.row["step"]
        return {
            self.metric: update.row[self.metric],
            "steps": update.row["step"],
            "row": dict(update.row),
            "curve": list(self.curve),
            "ended": ended,
            "done": bool(ended),
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """RuntimeError: a trial is not taken up again."""
        raise RuntimeError("the scheduler pauses trials; expected one that only stops them")

    def cleanup(self) -> None:
        """End the cell, which leaves nothing if it has no row: its point is not proposed again."""
        self.updates.close()
        self.store.remove(checkpoint_key(self.cell))
