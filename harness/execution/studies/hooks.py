"""What the driver gives Tune for a study: a searcher and a callback. Importing it imports Ray."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from harness.errors import StorageError
from harness.evaluation.scoring import first_line
from harness.execution.retries import write_failed_row
from harness.execution.shutdown import StopRequest
from harness.execution.studies.own_objects import find_mode, read_point
from harness.execution.studies.study import Study
from harness.execution.tune_hooks import DriverOnly, describe_death, find_storage_error
from harness.storage.store import Store
from harness.training.rows import write_row
from harness.training.task import Task


class StudySearcher(DriverOnly, Searcher):
    """Makes trials of a study from the points of the user's searcher, or else from random draws.

    own: the user's searcher, None without one; Tune would save one that is called `searcher`
    tasks: those of the trials so far, by Tune's name of the trial; one that was stopped early has
        the cell of the steps that it reached
    """

    def __init__(self, study: Study, own: Any, stop: StopRequest):
        super().__init__(metric=study.spec.metric, mode=find_mode(study.spec))
        self.study, self.own, self.stop = study, own, stop
        self.numbers = list(study.numbers)
        self.tasks: dict[str, Task] = {}

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next trial; None while the searcher waits, FINISHED at the end.

        A searcher that fails ends the run.
        """
        if not self.numbers or self.stop.requested:
            return Searcher.FINISHED
        try:
            return self._suggest(trial_id)
        except Exception as error:  # raised into Tune it would end as a traceback
            name = self.study.spec.searcher or "random draws"
            self.stop.request(f"searcher {name}: {first_line(error)}")
            return Searcher.FINISHED

    def _suggest(self, trial_id: str) -> Any:
        number, space = self.numbers[0], self.study.spec.space
        if self.own is None:
            point = space.draw(self.study.study, number)
        else:
            suggested = self.own.suggest(trial_id)
            if suggested is None or suggested == Searcher.FINISHED:
                return suggested
            point = read_point(space, suggested)
        self.tasks[trial_id] = self.study.make_task(number, point)
        del self.numbers[0]
        return {"task": self.tasks[trial_id]}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass on a point of the curve."""
        if self.own is not None:
            self.own.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Pass on that a trial has ended, by itself, by the scheduler or by an error."""
        if self.own is not None:
            self.own.on_trial_complete(trial_id, result, error)

    def get_state(self) -> dict[str, Any]:
        """Nothing: the next run tells the searcher the rows."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Does nothing, for the same reason."""


class StudyCallback(DriverOnly, tune.Callback):
    """Writes the rows of trials whose process cannot: those stopped early, and those that died."""

    def __init__(self, searcher: StudySearcher, store: Store, stop: StopRequest):
        self.searcher, self.store, self.stop = searcher, store, stop

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A trial has ended, by itself or by the scheduler."""
        result = trial.last_result
        if not result["ended"] and not self.stop.requested:
            self._write(trial, lambda task: self._write_stopped(trial.trial_id, task, result))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A cell failed and has a row, or its process died, or its storage failed."""
        if failure := find_storage_error(trial):
            self.stop.request(failure.description)
        else:
            self._write(trial, lambda task: _write_death(self.store, task, describe_death(trial)))

    def _write(self, trial: Any, write: Callable[[Task], None]) -> None:
        try:
            write(self.searcher.tasks[trial.trial_id])
        except StorageError as failure:  # raised into Tune it would end as a traceback
            self.stop.request(failure.description)

    def _write_stopped(self, trial_id: str, task: Task, result: dict[str, Any]) -> None:
        """Write the row and the curve of a trial as far as it came: a cell of so many steps."""
        columns = dict(result["row"])
        cell = replace(task.cells[0], iterations=columns.pop("step"))
        self.store.write_curve(cell.id, result["curve"])
        write_row(self.store, task, cell, "ok", columns)
        self.searcher.tasks[trial_id] = replace(task, cells=(cell,))


def _write_death(store: Store, task: Task, details: str) -> None:
    """Write the failed row of a cell whose process died before it wrote one."""
    (cell,) = task.cells
    if store.row(cell.id) is None:
        write_failed_row(store, task, cell, "its process died", details)
