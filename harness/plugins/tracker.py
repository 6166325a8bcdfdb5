"""Trackers by name: classes that report a run elsewhere, such as TensorBoard or a web service.

    @register_tracker("lines")
    class Lines:
        def on_row(self, row):
            print(row["cell"], row["status"], row["nelbo"])

A tracker may have these methods; each is optional:

- `check(results)`: raises InputError where it cannot work with results at this address. It is
  called before anything is written.
- `on_run_start(run)`: a run starts; `run` is a `TrackedRun`.
- `on_update(cell, point)`: a cell, by its id, has a new point of its learning curve: `step`, and
  the losses in nats and the accuracy where the model has them.
- `on_row(row)`: a cell has ended; `row` has the columns of the results table.
- `on_run_end(end)`: the run has ended: `done`, `interrupted`, or why. Also after another method has
  raised, with its error.

They are called in the process that was started, one after another, between the steps of the run. So
they must be quick. One that raises is left out from there on, and no row is affected.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import InputError, unknown_name_error

HOOKS = ("on_run_start", "on_update", "on_row", "on_run_end")
T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class TrackedRun:
    """A run that starts.

    id: of the run, as in the column `run`
    grid: the name of the grid
    results: the address of the results
    record: what the run's file in `provenance/` holds: command, grid, versions, machine
    cells: of each cell that is to be done, by id, its `name` and the columns that describe it
    """

    id: str
    grid: str
    results: str
    record: Mapping[str, Any]
    cells: Mapping[str, Mapping[str, Any]]


registered_trackers: dict[str, type] = {}  # by name


def register_tracker(name: str) -> Callable[[T], T]:
    """Class decorator: register a tracker as `name`, which `--tracker` takes.

    InputError if another class has the name.
    """

    def add(tracker: T) -> T:
        taken = registered_trackers.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (
            tracker.__module__,
            tracker.__qualname__,
        ):
            raise InputError(
                f"tracker name '{name}' is taken by {taken.__module__}; expected another name"
            )
        registered_trackers[name] = tracker
        return tracker

    return add


def find_tracker(name: str) -> type:
    """The tracker registered as `name`; InputError for an unknown name."""
    if name not in registered_trackers:
        raise unknown_name_error("tracker", name, registered_trackers)
    return registered_trackers[name]
