"""What is left to hand out: tasks, and what remains of a task whose process died. No Ray here.

A process that died says nothing of which cell was its bane. A try that saved something is no
failure: what remains goes on from there. Those that saved nothing count; a pack is then halved,
until the cell at fault fails alone. Storage that a process could not reach is no cell's fault: what
remains is tried again, and in the end the run is over.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import StorageFailure
from harness.experiment.cell import Cell
from harness.storage import layout
from harness.storage.store import Store
from harness.training import rows
from harness.training.task import Task, Update

RETRIES = 3  # of a cell alone, after which it fails; of storage, after which the run ends
HALVED_AFTER = 2  # deaths of a pack


@dataclass(frozen=True)
class Part:
    """Cells of task `index` that run as one trial, and how often in a row that died, or was refused
    by storage.

    Only those tries count in which nothing was saved.
    """

    index: int
    cells: tuple[int, ...]
    deaths: int = 0
    refusals: int = 0


class Tries:
    """Parts of tasks: waiting, in the order of the tasks, or running; by numbers that are never
    used twice.
    """

    def __init__(self, tasks: Sequence[Task]):
        self.tasks = tasks
        self.parts = [
            Part(index, tuple(range(len(task.cells)))) for index, task in enumerate(tasks)
        ]
        self.of = {index: [index] for index in range(len(tasks))}  # numbers of a task's parts
        self.waiting = deque(range(len(tasks)))
        self.running: dict[int, Update] = {}
        self.ended: dict[int, dict[str, str]] = {}

    @property
    def done(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.waiting and not self.running

    def next(self) -> int | None:
        """The part to start now, None where none waits."""
        if not self.waiting:
            return None
        number = self.waiting.popleft()
        self.running[number] = Update()
        return number

    def task(self, number: int) -> Task:
        """The task of a part: its cells alone."""
        part = self.parts[number]
        return replace(self.tasks[part.index], cells=self._cells(part))

    def hear(self, number: int, update: Update) -> Update:
        """Take the update of a part; how its whole task stands."""
        self.running[number] = update
        return self._whole(number, update)

    def finish(self, number: int) -> None:
        """A part has ended by itself."""
        self.running.pop(number, None)

    def died(self, number: int, words: str) -> Update:
        """The process of a part died with these words: its cells wait for another try, or fail; how
        its task stands.
        """
        last, part, left, ended = self._remains(number)
        task = self.tasks[part.index]
        deaths = 1 if last.saved or ended else part.deaths + 1
        if len(left) > 1 and deaths >= HALVED_AFTER:
            middle = len(left) // 2
            self._wait(Part(part.index, left[:middle]), Part(part.index, left[middle:]))
        elif len(left) == 1 and deaths > RETRIES:
            cell = task.cells[left[0]]
            give_up(task, cell, f"its process died {deaths} times with nothing saved", words)
            ended[cell.id] = "failed"
        elif left:
            self._wait(replace(part, cells=left, deaths=deaths))
        return self._whole(number, replace(last, ended=ended))

    def refused(self, number: int, failure: StorageFailure) -> Update:
        """Storage failed the process of a part: its cells wait for another try; too often, and that
        is raised.
        """
        last, part, left, ended = self._remains(number)
        refusals = 1 if last.saved or ended else part.refusals + 1
        if left and refusals > RETRIES:
            raise failure
        if left:
            self._wait(replace(part, cells=left, refusals=refusals))
        return self._whole(number, replace(last, ended=ended))

    def _remains(self, number: int) -> tuple[Update, Part, tuple[int, ...], dict[str, str]]:
        """Of a part that runs no more: its last update, itself, its cells that are left, those that
        ended by id.
        """
        last, part = self.running.pop(number), self.parts[number]
        task = self.tasks[part.index]
        rows = {place: _row(task, task.cells[place]) for place in part.cells}
        left = tuple(place for place, status in rows.items() if status is None)
        return (
            last,
            part,
            left,
            {task.cells[place].id: status for place, status in rows.items() if status is not None},
        )

    def _wait(self, *parts: Part) -> None:
        """First in the queue, as what has begun is behind; Ray may hold others already."""
        numbers = range(len(self.parts), len(self.parts) + len(parts))
        self.parts.extend(parts)
        self.of[parts[0].index].extend(numbers)
        self.waiting.extendleft(reversed(numbers))

    def _cells(self, part: Part) -> tuple[Cell, ...]:
        cells = self.tasks[part.index].cells
        return tuple(cells[place] for place in part.cells)

    def _whole(self, number: int, update: Update) -> Update:
        """An update of a part as one of its task: with the steps and the ends of its other parts,
        if any runs.
        """
        index = self.parts[number].index
        ended = self.ended.setdefault(index, {})
        ended |= update.ended
        live = {n: self.running[n] for n in self.of[index] if n in self.running}
        covered = {cell.id for n in live for cell in self._cells(self.parts[n])}
        over = [
            cell for cell in self.tasks[index].cells if cell.id in ended and cell.id not in covered
        ]
        steps = sum(u.steps for u in live.values()) + sum(cell.iterations for cell in over)
        scored = sum(u.scored for u in live.values()) + len(over)
        return replace(update, steps=steps, scored=scored, ended=dict(ended), waits=not live)


def _row(task: Task, cell: Cell) -> str | None:
    """How a cell ended in this run, None where it has not."""
    row = Store(task.results).row(cell.id)
    return row["status"] if row is not None and row["run"] == task.run else None


def give_up(task: Task, cell: Cell, reason: str, words: str) -> None:
    """Write a failed row, and what is known of the death into the cell's log."""
    store = Store(task.results)
    store.write(
        layout.log_key(cell.id),
        f"{reason}; a process that is killed says nothing itself\n\n{words}\n".encode(),
    )
    rows.write_row(store, task, cell, "failed", {"error": reason})
