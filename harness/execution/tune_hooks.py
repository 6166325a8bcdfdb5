"""What we give Tune: a queue of tasks, a stopper, and a callback that passes news on. They live in
the driver alone.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from harness.errors import StorageFailure
from harness.execution.heartbeat import is_at_work
from harness.execution.launcher import Watch
from harness.execution.retries import Tries
from harness.execution.shutdown import Stop
from harness.execution.watchdog import Watchdog
from harness.training.task import Update


class _Here:
    """Lives in this process alone: Tune, which keeps copies of what it is given in memory and on
    disk, gets none.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


def _last_words(trial: Any) -> str:
    """What Ray knows of a trial's death, and where it ran."""
    place = {name: (trial.last_result or {}).get(name) for name in ("hostname", "node_ip", "pid")}
    known = ", ".join(f"{name} {value}" for name, value in place.items() if value is not None)
    file = trial.error_file
    words = (
        Path(file).read_text(errors="replace")
        if file and Path(file).is_file()
        else "Ray gave no reason"
    )
    return f"last heard of: {known or 'never'}\n{words}"


def _storage_failure(trial: Any) -> StorageFailure | None:
    """What a trial died of, where that was storage; by what Tune keeps of its error in a file of
    this process.
    """
    from ray import cloudpickle

    file = trial.pickled_error_file
    error = cloudpickle.loads(Path(file).read_bytes()) if file and Path(file).is_file() else None
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, StorageFailure) else None


def queue(tries: Tries) -> Any:
    """Hands Tune the parts that wait, one a trial."""
    from ray.tune.search import Searcher

    class Queue(_Here, Searcher):
        def suggest(self, trial_id: str) -> Any:
            number = tries.next()
            if number is None:
                return Searcher.FINISHED if tries.done else None
            part = tries.parts[number]
            return {"part": number, "task": part.index, "cells": list(part.cells)}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """The watcher looks after that."""

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the plan is made from the rows."""

    return Queue()


def stopper(stop: Stop) -> Any:
    """Has Tune stop all trials when the run is to end."""
    from ray import tune

    class Stopper(_Here, tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return stop.asked

    return Stopper()


def watcher(tries: Tries, watch: Watch, dog: Watchdog, stop: Stop) -> Any:
    """A Tune callback: passes on what moves, has tried again what died, and ends the run where
    storage is gone.
    """
    from ray import tune

    class Watcher(_Here, tune.Callback):
        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            dog.moved()

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any
        ) -> None:
            update, part = (
                Update(**{field.name: result[field.name] for field in fields(Update)}),
                trial.config["part"],
            )
            if is_at_work(tries.running.get(part, Update()), update):
                dog.moved()
            self.tell(trial, tries.hear(part, update))

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            tries.finish(trial.config["part"])

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            dog.moved()
            try:
                self.tell(trial, self.again(trial))
            except StorageFailure as failure:  # Tune would make a traceback of it
                stop.ask(failure.told)

        def again(self, trial: Any) -> Update:
            failure = _storage_failure(trial)
            if failure:
                return tries.refused(trial.config["part"], failure)
            return tries.died(trial.config["part"], _last_words(trial))

        def tell(self, trial: Any, update: Update) -> None:
            watch(trial.config["task"], update)

    return Watcher()
