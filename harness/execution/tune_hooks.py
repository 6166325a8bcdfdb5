"""What the driver gives Tune: a searcher, a stopper, a callback and a reporter that is silent.

Importing it imports Ray.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from ray import cloudpickle, tune
from ray.tune.search import Searcher

from harness.errors import StorageError
from harness.execution.heartbeat import is_at_work
from harness.execution.launcher import UpdateCallback
from harness.execution.retries import RetryQueue
from harness.execution.shutdown import StopRequest
from harness.execution.watchdog import Watchdog
from harness.training.task import Update


def make_run_config(name: str, scratch: str, stop: StopRequest, callback: tune.Callback) -> Any:
    """A silent run of Tune that keeps its files in the folder `scratch` and ends on a request."""
    return tune.RunConfig(
        name=name,
        storage_path=scratch,
        verbose=0,
        progress_reporter=SilentReporter(),
        stop=RequestStopper(stop),
        # with a checkpoint at the end Tune would reuse no process
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        callbacks=[callback],
    )


class DriverOnly:
    """An object of the driver that Tune neither copies nor pickles."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


class QueueSearcher(DriverOnly, Searcher):
    """Hands Tune the waiting units of a queue, one for each trial."""

    def __init__(self, queue: RetryQueue):
        super().__init__()
        self.queue = queue

    def suggest(self, trial_id: str) -> Any:
        """The configuration of the next trial; None while nothing waits, FINISHED at the end."""
        number = self.queue.next()
        if number is None:
            return Searcher.FINISHED if self.queue.done else None
        unit = self.queue.units[number]
        return {"part": number, "task": unit.index, "cells": list(unit.cells)}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Does nothing: the callback updates the queue."""

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the next run makes its plan from the rows."""


class RequestStopper(DriverOnly, tune.Stopper):
    """Has Tune stop all trials once a stop is requested."""

    def __init__(self, stop: StopRequest):
        self.stop = stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is stopped alone."""
        return False

    def stop_all(self) -> bool:
        """Whether the run is to end."""
        return self.stop.requested


class SilentReporter(DriverOnly, tune.ProgressReporter):
    """Reports nothing: in a notebook Tune's own clears what others show under the cell."""

    def should_report(self, trials: Any, done: bool = False) -> bool:
        """Never."""
        return False

    def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
        """Does nothing."""


class QueueCallback(DriverOnly, tune.Callback):
    """Passes updates on, requeues the work of dead trials, and requests a stop if storage fails."""

    def __init__(
        self, queue: RetryQueue, on_update: UpdateCallback, watchdog: Watchdog, stop: StopRequest
    ):
        self.queue, self.on_update, self.watchdog, self.stop = queue, on_update, watchdog, stop

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A trial has a process."""
        self.watchdog.reset()

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any
    ) -> None:
        """A trial sent an update."""
        update = Update(**{field.name: result[field.name] for field in fields(Update)})
        part = trial.config["part"]
        if is_at_work(self.queue.running.get(part, Update()), update):
            self.watchdog.reset()
        self._report(trial, self.queue.update(part, update))

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A trial has ended by itself."""
        self.queue.finish(trial.config["part"])

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """The process of a trial died, or its storage failed."""
        self.watchdog.reset()
        try:
            self._report(trial, self._requeue(trial))
        except StorageError as failure:  # raised into Tune it would end as a traceback
            self.stop.request(failure.description)

    def _requeue(self, trial: Any) -> Update:
        part, failure = trial.config["part"], find_storage_error(trial)
        if failure:
            return self.queue.on_storage_error(part, failure)
        return self.queue.on_process_death(part, describe_death(trial))

    def _report(self, trial: Any, update: Update) -> None:
        self.on_update(trial.config["task"], update)


def describe_death(trial: Any) -> str:
    """Ray's reason for the death of a trial, and where the trial ran."""
    result, file = trial.last_result or {}, trial.error_file
    location = {name: result.get(name) for name in ("hostname", "node_ip", "pid")}
    known = ", ".join(f"{name} {value}" for name, value in location.items() if value is not None)
    reason = "Ray gave no reason"
    if file and Path(file).is_file():
        reason = Path(file).read_text(errors="replace")
    return f"last update from: {known or 'none'}\n{reason}"


def find_storage_error(trial: Any) -> StorageError | None:
    """The storage error that ended a trial, from the file in which Tune keeps its error; None for
    any other error.
    """
    file = trial.pickled_error_file
    error = cloudpickle.loads(Path(file).read_bytes()) if file and Path(file).is_file() else None
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, StorageError) else None
