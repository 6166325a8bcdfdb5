"""What we give Tune: a queue of tasks, a stopper, and a callback that passes news on. They live in
the driver alone.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from harness.errors import StorageError
from harness.execution.heartbeat import is_at_work
from harness.execution.launcher import UpdateCallback
from harness.execution.retries import RetryQueue
from harness.execution.shutdown import StopRequest
from harness.execution.watchdog import Watchdog
from harness.training.task import Update


class _NotSerialized:
    """Lives in this process alone: Tune, which keeps copies of what it is given in memory and on
    disk, gets none.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


def _describe_death(trial: Any) -> str:
    """What Ray knows of a trial's death, and where it ran."""
    location = {
        name: (trial.last_result or {}).get(name) for name in ("hostname", "node_ip", "pid")
    }
    known = ", ".join(f"{name} {value}" for name, value in location.items() if value is not None)
    file = trial.error_file
    error_text = (
        Path(file).read_text(errors="replace")
        if file and Path(file).is_file()
        else "Ray gave no reason"
    )
    return f"last heard of: {known or 'never'}\n{error_text}"


def _find_storage_error(trial: Any) -> StorageError | None:
    """What a trial died of, where that was storage; by what Tune keeps of its error in a file of
    this process.
    """
    from ray import cloudpickle

    file = trial.pickled_error_file
    error = cloudpickle.loads(Path(file).read_bytes()) if file and Path(file).is_file() else None
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, StorageError) else None


def make_searcher(queue: RetryQueue) -> Any:
    """Hands Tune the parts that wait, one a trial."""
    from ray.tune.search import Searcher

    class Queue(_NotSerialized, Searcher):
        def suggest(self, trial_id: str) -> Any:
            number = queue.next()
            if number is None:
                return Searcher.FINISHED if queue.done else None
            unit = queue.units[number]
            return {"part": number, "task": unit.index, "cells": list(unit.cells)}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """The watcher looks after that."""

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the plan is made from the rows."""

    return Queue()


def make_stopper(stop: StopRequest) -> Any:
    """Has Tune stop all trials when the run is to end."""
    from ray import tune

    class Stopper(_NotSerialized, tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return stop.requested

    return Stopper()


def make_callback(
    queue: RetryQueue, on_update: UpdateCallback, watchdog: Watchdog, stop: StopRequest
) -> Any:
    """A Tune callback: passes on what moves, has tried again what died, and ends the run where
    storage is gone.
    """
    from ray import tune

    class Watcher(_NotSerialized, tune.Callback):
        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            watchdog.reset()

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any
        ) -> None:
            update, part = (
                Update(**{field.name: result[field.name] for field in fields(Update)}),
                trial.config["part"],
            )
            if is_at_work(queue.running.get(part, Update()), update):
                watchdog.reset()
            self._report(trial, queue.update(part, update))

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            queue.finish(trial.config["part"])

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            watchdog.reset()
            try:
                self._report(trial, self._retry(trial))
            except StorageError as failure:  # Tune would make a traceback of it
                stop.request(failure.description)

        def _retry(self, trial: Any) -> Update:
            failure = _find_storage_error(trial)
            if failure:
                return queue.on_storage_error(trial.config["part"], failure)
            return queue.on_process_death(trial.config["part"], _describe_death(trial))

        def _report(self, trial: Any, update: Update) -> None:
            on_update(trial.config["task"], update)

    return Watcher()
