"""The queue of work: tasks, and the unfinished cells of tasks whose process died. No Ray here.

A killed process cannot report which cell killed it. Its unfinished cells are retried from their
checkpoints. A pack that dies repeatedly without saving anything is halved, until the cell at fault
fails alone. If storage is unreachable, unfinished cells are retried; after three retries the run
ends.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import StorageError
from harness.experiment.cell import Cell
from harness.storage import layout
from harness.storage.store import Store
from harness.training import rows
from harness.training.task import Task, Update

MAX_RETRIES = 3  # of a single cell before it fails, and of storage before the run ends
DEATHS_BEFORE_HALVING = 2  # deaths of a pack


@dataclass(frozen=True)
class WorkUnit:
    """Cells of task `index` that run as one trial; `cells` are their places in the task.

    `deaths` counts the processes that died in a row with nothing saved, `refusals` those that
    storage failed.
    """

    index: int
    cells: tuple[int, ...]
    deaths: int = 0
    refusals: int = 0


class RetryQueue:
    """Work units that wait, in the order of their tasks, or run. A unit's number is its place in
    `units`, to which retries are added.
    """

    def __init__(self, tasks: Sequence[Task], store: Store):
        self.tasks, self.store = tasks, store
        self.units = [
            WorkUnit(index, tuple(range(len(task.cells)))) for index, task in enumerate(tasks)
        ]
        self.units_by_task = {
            index: [index] for index in range(len(tasks))
        }  # unit numbers, by task
        self.waiting = deque(range(len(tasks)))
        self.running: dict[int, Update] = {}
        self.ended: dict[int, dict[str, str]] = {}

    @property
    def done(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.waiting and not self.running

    def next(self) -> int | None:
        """Take the number of the next unit from the queue; None if none waits."""
        if not self.waiting:
            return None
        number = self.waiting.popleft()
        self.running[number] = Update()
        return number

    def make_task(self, number: int) -> Task:
        """The task of a unit, with the unit's cells alone."""
        unit = self.units[number]
        return replace(self.tasks[unit.index], cells=self._cells(unit))

    def update(self, number: int, update: Update) -> Update:
        """Take an update of a unit; the update of its task."""
        self.running[number] = update
        return self._task_update(number, update)

    def finish(self, number: int) -> None:
        """Take a unit that ended by itself out of the running ones."""
        self.running.pop(number, None)

    def on_process_death(self, number: int, details: str) -> Update:
        """Requeue the unfinished cells of a unit whose process died, or write a failed row; the
        update of its task. `details` go into the log.
        """
        last_update, unit, remaining, ended = self._pop_unfinished(number)
        task = self.tasks[unit.index]
        deaths = 1 if last_update.saved or ended else unit.deaths + 1
        if len(remaining) > 1 and deaths >= DEATHS_BEFORE_HALVING:
            middle = len(remaining) // 2
            self._requeue(
                WorkUnit(unit.index, remaining[:middle]), WorkUnit(unit.index, remaining[middle:])
            )
        elif len(remaining) == 1 and deaths > MAX_RETRIES:
            cell = task.cells[remaining[0]]
            reason = f"its process died {deaths} times with nothing saved"
            write_failed_row(self.store, task, cell, reason, details)
            ended[cell.id] = "failed"
        elif remaining:
            self._requeue(replace(unit, cells=remaining, deaths=deaths))
        return self._task_update(number, replace(last_update, ended=ended))

    def on_storage_error(self, number: int, error: StorageError) -> Update:
        """Requeue the unfinished cells of a unit that could not reach its storage; the update of
        its task. `error` is raised after MAX_RETRIES retries.
        """
        last_update, unit, remaining, ended = self._pop_unfinished(number)
        refusals = 1 if last_update.saved or ended else unit.refusals + 1
        if remaining and refusals > MAX_RETRIES:
            raise error
        if remaining:
            self._requeue(replace(unit, cells=remaining, refusals=refusals))
        return self._task_update(number, replace(last_update, ended=ended))

    def _pop_unfinished(
        self, number: int
    ) -> tuple[Update, WorkUnit, tuple[int, ...], dict[str, str]]:
        """Take a unit out of the running ones: its last update, the unit, the places of its
        unfinished cells, and the statuses of its other cells by id.
        """
        last_update, unit = self.running.pop(number), self.units[number]
        task = self.tasks[unit.index]
        statuses = {
            place: _read_status(self.store, task, task.cells[place]) for place in unit.cells
        }
        remaining = tuple(place for place, status in statuses.items() if status is None)
        return (
            last_update,
            unit,
            remaining,
            {
                task.cells[place].id: status
                for place, status in statuses.items()
                if status is not None
            },
        )

    def _requeue(self, *units: WorkUnit) -> None:
        """Put units at the head of the queue: they have begun, and others have not."""
        numbers = range(len(self.units), len(self.units) + len(units))
        self.units.extend(units)
        self.units_by_task[units[0].index].extend(numbers)
        self.waiting.extendleft(reversed(numbers))

    def _cells(self, unit: WorkUnit) -> tuple[Cell, ...]:
        cells = self.tasks[unit.index].cells
        return tuple(cells[place] for place in unit.cells)

    def _task_update(self, number: int, update: Update) -> Update:
        """The update of a unit as one of its task: steps and ended cells of all its units."""
        index = self.units[number].index
        ended = self.ended.setdefault(index, {})
        ended |= update.ended
        running = {n: self.running[n] for n in self.units_by_task[index] if n in self.running}
        covered = {cell.id for n in running for cell in self._cells(self.units[n])}
        finished = [
            cell for cell in self.tasks[index].cells if cell.id in ended and cell.id not in covered
        ]
        steps = sum(u.steps for u in running.values()) + sum(cell.iterations for cell in finished)
        scored = sum(u.scored for u in running.values()) + len(finished)
        return replace(update, steps=steps, scored=scored, ended=dict(ended), waits=not running)


def _read_status(store: Store, task: Task, cell: Cell) -> str | None:
    """How a cell ended in this run, None where it has not."""
    row = store.row(cell.id)
    return row["status"] if row is not None and row["run"] == task.run else None


def write_failed_row(store: Store, task: Task, cell: Cell, reason: str, details: str) -> None:
    """Write the failed row of a cell, and the details of the death into its log."""
    store.write(
        layout.log_key(cell.id),
        f"{reason}; a killed process leaves no message\n\n{details}\n".encode(),
    )
    rows.write_row(store, task, cell, "failed", {"error": reason})
