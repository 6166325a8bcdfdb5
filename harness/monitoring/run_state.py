"""The state of a run, made from the updates of its trials; only the driver has it."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence

from harness.experiment import provenance
from harness.experiment.grid import name_cells
from harness.monitoring.run_status import MAX_RECORDED, Failure, PackProgress, RunStatus
from harness.training.task import Costs, Task, Update


class RunState:
    """The progress of the trials of a run, and an estimate of the time that is left.

    `costs` are those measured before the run, by `Cell.pack_key`; `slots` trials run side by side.
    `grid_cells` counts the cells of the grid, `already_done` those that earlier runs have done.
    `outlook` says what may follow from the rows of these cells. `compile_seconds` are those that
    each task spends on compiling before its first step.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        costs: Costs,
        slots: int,
        grid_cells: int = 0,
        already_done: int = 0,
        outlook: str = "",
        compile_seconds: Sequence[float] = (),
    ):
        self.tasks, self.slots = tasks, slots
        self.grid_cells, self.already_done, self.outlook = grid_cells, already_done, outlook
        cell_names = name_cells([cell for task in tasks for cell in task.cells])
        self.names = {cell.id: name for cell, name in cell_names.items()}
        task_costs = [(costs[task.cells[0].pack_key], len(task.cells)) for task in tasks]
        self.step_seconds = [cost.step_seconds(size) / size for cost, size in task_costs]
        self.score_seconds = [cost.score for cost, _ in task_costs]
        self.compile_seconds = list(compile_seconds) or [0.0] * len(tasks)
        self.latest_updates: dict[int, Update] = {}  # of tasks that have begun and not ended
        self.remaining_work = sum(map(self._task_work, range(len(tasks))))
        self.ended: dict[str, str] = {}  # statuses, by cell
        self.status_counts: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.started = self.last_update = time.monotonic()
        self.lock = threading.Lock()  # a terminal and a store read snapshots in their own threads

    def record(self, index: int, update: Update) -> dict[str, str]:
        """Take an update of task `index`; the statuses of the cells that ended since the last."""
        with self.lock:
            self.last_update = time.monotonic()
            self.remaining_work -= self._task_work(index)
            if len(update.ended) < len(self.tasks[index].cells):
                self.latest_updates[index] = update
                self.remaining_work += self._task_work(index)
            else:
                self.latest_updates.pop(index, None)
                self.step_seconds[index] = self.score_seconds[index] = 0.0
                self.compile_seconds[index] = 0.0
            return self._record_ends(update)

    def _record_ends(self, update: Update) -> dict[str, str]:
        new = {cell: status for cell, status in update.ended.items() if cell not in self.ended}
        self.ended |= new
        self.status_counts.update(new.values())
        self.failures += [
            Failure(cell, self.names[cell], status)
            for cell, status in new.items()
            if status != "ok"
        ]
        return new

    def _task_work(self, index: int) -> float:
        """Seconds of work that are left of a task, at its observed or else its measured speed."""
        update, cells = self.latest_updates.get(index, Update()), self.tasks[index].cells
        steps = sum(cell.iterations for cell in cells) - update.steps
        scoring = (update.score_seconds or self.score_seconds[index]) * (len(cells) - update.scored)
        compiling = 0.0 if update.step_seconds or update.ended else self.compile_seconds[index]
        return compiling + (update.step_seconds or self.step_seconds[index]) * steps + scoring

    @property
    def running(self) -> dict[int, Update]:
        """The latest updates of the tasks that run; one whose process died waits for another."""
        return {index: update for index, update in self.latest_updates.items() if not update.waits}

    @property
    def seconds_left(self) -> float:
        """The remaining work, divided over the slots."""
        return max(0.0, self.remaining_work) / min(self.slots, max(1, len(self.tasks)))

    def title(self, index: int) -> str:
        """The name of a task: that of its first cell, and how many more there are."""
        first, *others = self.tasks[index].cells
        return self.names[first.id] + (f" and {len(others)} more" if others else "")

    def snapshot(self) -> RunStatus:
        """The status of the run now."""
        with self.lock:
            now, running = time.monotonic(), self.running
            return RunStatus(
                run=self.tasks[0].run,
                grid=self.tasks[0].grid,
                host=socket.gethostname(),
                written=provenance.utc_now(),
                asked=self.grid_cells,
                before=self.already_done,
                cells=len(self.names),
                ended=dict(self.status_counts),
                running=len(running),
                speed=sum(1 / u.step_seconds for u in running.values() if u.step_seconds),
                packs=tuple(map(self._pack_progress, list(running)[:MAX_RECORDED])),
                failures=tuple(self.failures[:MAX_RECORDED]),
                elapsed=now - self.started,
                left=self.seconds_left,
                quiet=now - self.last_update,
                outlook=self.outlook,
            )

    def _pack_progress(self, index: int) -> PackProgress:
        task, update = self.tasks[index], self.latest_updates[index]
        speed = 1 / update.step_seconds if update.step_seconds else None
        step, steps = update.steps // len(task.cells), task.cells[0].iterations
        return PackProgress(self.title(index), step, steps, speed, update.nelbo, update.stage)
