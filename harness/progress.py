"""Live progress of a run: a table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness import engine
from harness.grid import names
from harness.packing import Costs
from harness.trial import Task, Update

LINE_SECONDS = 15.0


class Progress:
    """How a run stands; `watch` takes the updates of its trials."""

    def __init__(self, tasks: Sequence[Task], costs: Costs, slots: int, console: Console | None = None):
        self.tasks = tasks
        self.names = {cell.id: name for cell, name in names([c for task in tasks for c in task.cells]).items()}
        self.costs = costs
        self.slots = slots
        self.console = console or Console()
        self.updates: dict[int, Update] = {}
        self.ended: dict[str, str] = {}
        self.started = self.told = time.monotonic()
        live = self.console.is_terminal
        self.live = Live(get_renderable=self._page, console=self.console, refresh_per_second=2) if live else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        else:
            self.console.print(self.summary(), highlight=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def watch(self, index: int, update: Update) -> None:
        """Take an update of task `index`."""
        self.updates[index] = update
        news = {cell: status for cell, status in update.ended.items() if cell not in self.ended}
        self.ended |= news
        if self.live:
            return
        for cell, status in news.items():
            self._line(f"{self.names[cell]}: {status}")
        if not news and time.monotonic() - self.told >= LINE_SECONDS:
            self._line(", ".join(map(self._standing, self.running)))

    def _line(self, news: str) -> None:
        self.console.print(f"{self.summary()} | {news}", highlight=False, soft_wrap=True)
        self.told = time.monotonic()

    def _standing(self, index: int) -> str:
        task, update = self.tasks[index], self.updates[index]
        nelbo = f", NELBO {update.nelbo:.2f}" if update.nelbo is not None else ""
        return f"{self.title(index)} at step {update.steps // len(task.cells):,}{nelbo}"

    def title(self, index: int) -> str:
        """The name of a task: its first cell's, and how many more there are."""
        first, *others = self.tasks[index].cells
        return self.names[first.id] + (f" and {len(others)} more" if others else "")

    # --- figures -----------------------------------------------------------------------------------------------------

    @property
    def cells(self) -> int:
        """Cells of this run."""
        return sum(len(task.cells) for task in self.tasks)

    @property
    def running(self) -> list[int]:
        """Indices of the tasks that have begun and not ended."""
        return [i for i, u in self.updates.items() if len(u.ended) < len(self.tasks[i].cells)]

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds left: the steps of each task at its observed or else its measured speed, over the slots."""
        work = (self._left(index, task) for index, task in enumerate(self.tasks))
        return sum(work) / min(self.slots, max(1, len(self.tasks)))

    def _left(self, index: int, task: Task) -> float:
        update = self.updates.get(index, Update())
        if len(update.ended) == len(task.cells):
            return 0.0
        size = len(task.cells)
        cost = update.step_seconds or self.costs[engine.key(task.cells[0])].step(size) / size
        return cost * (sum(cell.iterations for cell in task.cells) - update.steps)

    def summary(self) -> str:
        """One line: elapsed, cells done, running and failed, steps/s, time left."""
        failed = sum(status != "ok" for status in self.ended.values())
        speed = sum(1 / u.step_seconds for i in self.running if (u := self.updates[i]).step_seconds)
        return (
            f"[{clock(self.elapsed)}] {len(self.ended) - failed}/{self.cells} cells done, {len(self.running)} running, "
            f"{failed} failed, {speed:.0f} steps/s, {clock(self.left)} left"
        )

    # --- the page on a terminal --------------------------------------------------------------------------------------

    def _page(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for column, side in (
            ("running", "left"),
            ("", "left"),
            ("step", "right"),
            ("steps/s", "right"),
            ("NELBO", "right"),
        ):
            table.add_column(column, justify=side, no_wrap=True)  # type: ignore[arg-type]
        for index in self.running:
            task, update = self.tasks[index], self.updates[index]
            total = sum(cell.iterations for cell in task.cells)
            table.add_row(
                self.title(index),
                ProgressBar(total=total, completed=update.steps, width=24),
                f"{update.steps // len(task.cells):,}/{task.cells[0].iterations:,}",
                f"{1 / update.step_seconds:.0f}" if update.step_seconds else "",
                f"{update.nelbo:.2f}" if update.nelbo is not None else "",
            )
        bar = Table.grid()  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=self.cells, completed=len(self.ended), width=60))
        return Group(Text(self.summary(), style="bold"), bar, table)


def clock(seconds: float) -> str:
    """Seconds as people say them.

    >>> clock(42), clock(61), clock(7384)
    ('42 s', '1 min 01 s', '2 h 03 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
