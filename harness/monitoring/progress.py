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

from harness.experiment.grid import names
from harness.monitoring import display, run_status
from harness.monitoring.run_status import LISTED, Failure, Pack, Standing
from harness.storage import provenance
from harness.storage.store import Store
from harness.training.step_cost import Costs
from harness.training.task import Task, Update

LINE_SECONDS = 15.0
WRITE_SECONDS = 10.0


class Progress:
    """How a run stands; `watch` takes the updates of its trials. With a store, its standing is
    written there.

    `asked` and `before` are the cells of the grid and those of them that were done when the run
    began.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        costs: Costs,
        slots: int,
        console: Console | None = None,
        store: Store | None = None,
        asked: int = 0,
        before: int = 0,
    ):
        self.tasks = tasks
        self.names = {
            cell.id: name for cell, name in names([c for task in tasks for c in task.cells]).items()
        }
        self.slots = slots
        self.console = console or Console()
        self.store, self.asked, self.before = store, asked, before
        self.cells = len(self.names)
        of_task = [costs[task.cells[0].pack_key] for task in tasks]
        self.costs = [
            cost.step(len(task.cells)) / len(task.cells)
            for cost, task in zip(of_task, tasks, strict=True)
        ]
        self.score_costs = [cost.score for cost in of_task]
        # tasks that have not ended, by the last that was heard of them
        self.begun: dict[int, Update] = {}
        self.work = sum(map(self._work, range(len(tasks))))
        self.ended: dict[str, str] = {}
        self.counts: Counter[str] = Counter()  # of `ended`, by status
        self.failures: list[Failure] = []
        self.started = self.told = self.moved = time.monotonic()
        self.lock = threading.Lock()  # a terminal and the store are served by threads of their own
        self.writer = _Writer(self) if store else None
        self.live = self._live() if self.console.is_terminal else None

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
            self.writer.end(_end(error))

    def _live(self) -> Live:
        return Live(
            get_renderable=lambda: display.page(self.standing()),
            console=self.console,
            refresh_per_second=2,
        )

    def watch(self, index: int, update: Update) -> None:
        """Take an update of task `index`."""
        with self.lock:
            news = self._take(index, update)
        if self.live:
            return
        if news:
            self._lines([f"{self.names[cell]}: {status}" for cell, status in news.items()])
        elif time.monotonic() - self.told >= LINE_SECONDS:
            self._lines([", ".join(map(self._at, list(self.running)[:LISTED]))])

    def _take(self, index: int, update: Update) -> dict[str, str]:
        """What ended just now."""
        self.moved = time.monotonic()
        if self.writer and not self.begun and not self.ended:
            self.writer.wake.set()
        self.work -= self._work(index)
        if len(update.ended) < len(self.tasks[index].cells):
            self.begun[index] = update
            self.work += self._work(index)
        else:
            self.begun.pop(index, None)
            self.costs[index] = self.score_costs[index] = 0.0
        news = {cell: status for cell, status in update.ended.items() if cell not in self.ended}
        self.ended |= news
        self.counts.update(news.values())
        self.failures += [
            Failure(c, self.names[c], status) for c, status in news.items() if status != "ok"
        ]
        return news

    def _work(self, index: int) -> float:
        """Seconds of work that are left of a task, at its observed or else its measured speed."""
        update, cells = self.begun.get(index, Update()), self.tasks[index].cells
        steps = sum(cell.iterations for cell in cells) - update.steps
        scoring = (update.score_seconds or self.score_costs[index]) * (len(cells) - update.scored)
        return (update.step_seconds or self.costs[index]) * steps + scoring

    def _lines(self, news: Sequence[str]) -> None:
        """A line each, all with one summary: it looks at every pack that runs."""
        summary = self.summary()
        for one in news:
            self.console.print(f"{summary} | {one}", highlight=False, soft_wrap=True)
        self.told = time.monotonic()

    def _at(self, index: int) -> str:
        task, update = self.tasks[index], self.begun[index]
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
        return {index: update for index, update in self.begun.items() if not update.waits}

    @property
    def left(self) -> float:
        """Seconds left: the steps of each task at its observed or else its measured speed, over the
        slots.
        """
        return max(0.0, self.work) / min(self.slots, max(1, len(self.tasks)))

    def summary(self) -> str:
        """One line on how the run stands."""
        return display.summary(self.standing())

    def standing(self) -> Standing:
        """How the run stands now."""
        with self.lock:
            now, running = time.monotonic(), self.running
            return Standing(
                run=self.tasks[0].run,
                grid=self.tasks[0].grid,
                host=socket.gethostname(),
                written=provenance.now(),
                asked=self.asked,
                before=self.before,
                cells=self.cells,
                ended=dict(self.counts),
                running=len(running),
                speed=sum(1 / u.step_seconds for u in running.values() if u.step_seconds),
                packs=tuple(map(self._pack, list(running)[:LISTED])),
                failures=tuple(self.failures[:LISTED]),
                elapsed=now - self.started,
                left=self.left,
                quiet=now - self.moved,
            )

    def _pack(self, index: int) -> Pack:
        task, update = self.tasks[index], self.begun[index]
        speed = 1 / update.step_seconds if update.step_seconds else None
        step = update.steps // len(task.cells)
        return Pack(
            self.title(index), step, task.cells[0].iterations, speed, update.nelbo, update.stage
        )


def _end(error: BaseException | None) -> str:
    """How a run ended, in a word or a line."""
    if error is None:
        return run_status.DONE
    return (
        "interrupted"
        if isinstance(error, KeyboardInterrupt)
        else str(error) or type(error).__name__
    )


class _Writer:
    """Writes the standing into the store, from a thread of its own: a store that is slow or away
    holds nobody up.
    """

    def __init__(self, progress: Progress):
        self.progress = progress
        self.wake, self.over, self.told = threading.Event(), False, False
        self.thread = threading.Thread(target=self._write_now_and_then, daemon=True)

    def start(self) -> None:
        """Begin; the first is written at once."""
        self.thread.start()

    def end(self, word: str) -> None:
        """Write the last standing, with how the run ended."""
        self.over = True
        self.wake.set()
        self.thread.join(WRITE_SECONDS)
        self._write(word)

    def _write_now_and_then(self) -> None:
        """Every ten seconds, and when something wakes it."""
        while not self.over:
            self._write()
            self.wake.wait(WRITE_SECONDS)
            self.wake.clear()

    def _write(self, end: str = "") -> None:
        store = self.progress.store
        try:
            if store:
                run_status.write(store, replace(self.progress.standing(), end=end))
        except Exception as error:
            if not self.told:
                print(f"the progress cannot be written ({error}); the run goes on", file=sys.stderr)
            self.told = True
