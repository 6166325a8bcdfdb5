"""Live progress of a run: a table on a terminal, plain lines elsewhere, and its standing in the
store.
"""

import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from harness.experiment.grid import name_cells
from harness.monitoring import display, run_status
from harness.monitoring.run_status import MAX_RECORDED, Failure, PackProgress, RunStatus
from harness.storage import provenance
from harness.storage.store import Store
from harness.training.step_cost import Costs
from harness.training.task import Task, Update

LINE_SECONDS = 15.0
WRITE_SECONDS = 10.0


class Progress:
    """How a run stands; `on_update` takes the updates of its trials. With a store, its standing is
    written there.

    `grid_cells` and `already_done` are the cells of the grid and those of them that were done when
    the run began.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        costs: Costs,
        slots: int,
        console: Console | None = None,
        store: Store | None = None,
        grid_cells: int = 0,
        already_done: int = 0,
    ):
        self.tasks = tasks
        self.names = {
            cell.id: name
            for cell, name in name_cells([c for task in tasks for c in task.cells]).items()
        }
        self.slots = slots
        self.console = console or Console()
        self.store, self.grid_cells, self.already_done = store, grid_cells, already_done
        self.cells = len(self.names)
        task_costs = [costs[task.cells[0].pack_key] for task in tasks]
        self.step_seconds = [
            cost.step_seconds(len(task.cells)) / len(task.cells)
            for cost, task in zip(task_costs, tasks, strict=True)
        ]
        self.score_seconds = [cost.score for cost in task_costs]
        # tasks that have not ended, by the last that was heard of them
        self.latest_updates: dict[int, Update] = {}
        self.remaining_work = sum(map(self._task_work, range(len(tasks))))
        self.ended: dict[str, str] = {}
        self.status_counts: Counter[str] = Counter()  # of `ended`, by status
        self.failures: list[Failure] = []
        self.started = self.last_printed = self.last_update = time.monotonic()
        self.lock = threading.Lock()  # a terminal and the store are served by threads of their own
        self.writer = _StatusWriter(self) if store else None
        self.live = self._make_live() if self.console.is_terminal else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        else:
            self.console.print(self.summary(), highlight=False)
        if self.writer:
            self.writer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()
        if self.writer:
            self.writer.close(_describe_end(error))

    def _make_live(self) -> Live:
        return Live(
            get_renderable=lambda: display.render_page(self.snapshot()),
            console=self.console,
            refresh_per_second=2,
        )

    def on_update(self, index: int, update: Update) -> None:
        """Take an update of task `index`."""
        with self.lock:
            newly_ended = self._record_update(index, update)
        if self.live:
            return
        if newly_ended:
            self._print_lines(
                [f"{self.names[cell]}: {status}" for cell, status in newly_ended.items()]
            )
        elif time.monotonic() - self.last_printed >= LINE_SECONDS:
            self._print_lines(
                [", ".join(map(self._describe_task, list(self.running)[:MAX_RECORDED]))]
            )

    def _record_update(self, index: int, update: Update) -> dict[str, str]:
        """What ended just now."""
        self.last_update = time.monotonic()
        if self.writer and not self.latest_updates and not self.ended:
            self.writer.wake.set()
        self.remaining_work -= self._task_work(index)
        if len(update.ended) < len(self.tasks[index].cells):
            self.latest_updates[index] = update
            self.remaining_work += self._task_work(index)
        else:
            self.latest_updates.pop(index, None)
            self.step_seconds[index] = self.score_seconds[index] = 0.0
        newly_ended = {
            cell: status for cell, status in update.ended.items() if cell not in self.ended
        }
        self.ended |= newly_ended
        self.status_counts.update(newly_ended.values())
        self.failures += [
            Failure(c, self.names[c], status) for c, status in newly_ended.items() if status != "ok"
        ]
        return newly_ended

    def _task_work(self, index: int) -> float:
        """Seconds of work that are left of a task, at its observed or else its measured speed."""
        update, cells = self.latest_updates.get(index, Update()), self.tasks[index].cells
        steps = sum(cell.iterations for cell in cells) - update.steps
        scoring = (update.score_seconds or self.score_seconds[index]) * (len(cells) - update.scored)
        return (update.step_seconds or self.step_seconds[index]) * steps + scoring

    def _print_lines(self, lines: Sequence[str]) -> None:
        """A line each, all with one summary: it looks at every pack that runs."""
        summary = self.summary()
        for line in lines:
            self.console.print(f"{summary} | {line}", highlight=False, soft_wrap=True)
        self.last_printed = time.monotonic()

    def _describe_task(self, index: int) -> str:
        task, update = self.tasks[index], self.latest_updates[index]
        if update.stage:
            return f"{self.title(index)}: {update.stage}"
        nelbo = f", NELBO {update.nelbo:.2f}" if update.nelbo is not None else ""
        return f"{self.title(index)} at step {update.steps // len(task.cells):,}{nelbo}"

    def title(self, index: int) -> str:
        """The name of a task: its first cell's, and how many more there are."""
        first, *others = self.tasks[index].cells
        return self.names[first.id] + (f" and {len(others)} more" if others else "")

    @property
    def running(self) -> dict[int, Update]:
        """The tasks that have begun, less those that wait for another process."""
        return {index: update for index, update in self.latest_updates.items() if not update.waits}

    @property
    def seconds_left(self) -> float:
        """Seconds left: the steps of each task at its observed or else its measured speed, over the
        slots.
        """
        return max(0.0, self.remaining_work) / min(self.slots, max(1, len(self.tasks)))

    def summary(self) -> str:
        """One line on how the run stands."""
        return display.summary(self.snapshot())

    def snapshot(self) -> RunStatus:
        """How the run stands now."""
        with self.lock:
            now, running = time.monotonic(), self.running
            return RunStatus(
                run=self.tasks[0].run,
                grid=self.tasks[0].grid,
                host=socket.gethostname(),
                written=provenance.utc_now(),
                asked=self.grid_cells,
                before=self.already_done,
                cells=self.cells,
                ended=dict(self.status_counts),
                running=len(running),
                speed=sum(1 / u.step_seconds for u in running.values() if u.step_seconds),
                packs=tuple(map(self._pack_progress, list(running)[:MAX_RECORDED])),
                failures=tuple(self.failures[:MAX_RECORDED]),
                elapsed=now - self.started,
                left=self.seconds_left,
                quiet=now - self.last_update,
            )

    def _pack_progress(self, index: int) -> PackProgress:
        task, update = self.tasks[index], self.latest_updates[index]
        speed = 1 / update.step_seconds if update.step_seconds else None
        step = update.steps // len(task.cells)
        return PackProgress(
            self.title(index), step, task.cells[0].iterations, speed, update.nelbo, update.stage
        )


def _describe_end(error: BaseException | None) -> str:
    """How a run ended, in a word or a line."""
    if error is None:
        return run_status.DONE
    return (
        "interrupted"
        if isinstance(error, KeyboardInterrupt)
        else str(error) or type(error).__name__
    )


class _StatusWriter:
    """Writes the standing into the store, from a thread of its own: a store that is slow or away
    holds nobody up.
    """

    def __init__(self, progress: Progress):
        self.progress = progress
        self.wake, self.closed, self.has_warned = threading.Event(), False, False
        self.thread = threading.Thread(target=self._write_periodically, daemon=True)

    def start(self) -> None:
        """Begin; the first is written at once."""
        self.thread.start()

    def close(self, outcome: str) -> None:
        """Write the last standing, with how the run ended."""
        self.closed = True
        self.wake.set()
        self.thread.join(WRITE_SECONDS)
        self._write(outcome)

    def _write_periodically(self) -> None:
        """Every ten seconds, and when something wakes it."""
        while not self.closed:
            self._write()
            self.wake.wait(WRITE_SECONDS)
            self.wake.clear()

    def _write(self, end: str = "") -> None:
        store = self.progress.store
        try:
            if store:
                run_status.write(store, replace(self.progress.snapshot(), end=end))
        except Exception as error:
            if not self.has_warned:
                print(f"the progress cannot be written ({error}); the run goes on", file=sys.stderr)
            self.has_warned = True
