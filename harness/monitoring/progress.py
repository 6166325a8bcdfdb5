"""Live progress of a run: a table on a terminal and in a notebook, plain lines elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live

from harness.monitoring import display, run_status
from harness.monitoring.notebook_page import NotebookPage
from harness.monitoring.run_state import RunState
from harness.monitoring.run_status import MAX_RECORDED
from harness.monitoring.status_writer import StatusWriter
from harness.storage.store import Store
from harness.training.task import Update

LINE_SECONDS = 15.0


class Progress:
    """Shows a run while it is open, and writes its status into the store, if there is one."""

    def __init__(self, state: RunState, console: Console | None = None, store: Store | None = None):
        self.state, self.console = state, console or Console()
        self.last_printed = time.monotonic()
        self.writer = StatusWriter(state, store) if store else None
        self.page = NotebookPage(self._render_page) if self.console.is_jupyter else None
        self.live = self._make_live() if self.console.is_terminal else None

    def __enter__(self) -> Self:
        if self.page:
            self.page.start()
        elif self.live:
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
        if self.page:
            self.page.stop()
        elif self.live:
            self.live.stop()
        if self.writer:
            self.writer.close(run_status.describe_end(error))

    def _make_live(self) -> Live:
        return Live(get_renderable=self._render_page, console=self.console, refresh_per_second=2)

    def _render_page(self) -> Group:
        return display.render_page(self.state.snapshot())

    def on_update(self, index: int, update: Update) -> None:
        """Take an update of task `index`, and print a line if cells ended or one is due."""
        state = self.state
        is_first = not state.latest_updates and not state.ended
        newly_ended = state.record(index, update)
        if self.writer and is_first:
            self.writer.wake.set()
        if self.page:
            self.page.refresh_if_due()
        if self.live or self.page:
            return
        if newly_ended:
            self._print_lines(
                [f"{state.names[cell]}: {status}" for cell, status in newly_ended.items()]
            )
        elif time.monotonic() - self.last_printed >= LINE_SECONDS:
            running = list(state.running)[:MAX_RECORDED]
            self._print_lines([", ".join(map(self._describe_task, running))])

    def summary(self) -> str:
        """The status of the run in one line."""
        return display.summary(self.state.snapshot())

    def _print_lines(self, lines: Sequence[str]) -> None:
        """Print lines, each after the same summary: making one visits every running pack."""
        summary = self.summary()
        for line in lines:
            self.console.print(f"{summary} | {line}", highlight=False, soft_wrap=True)
        self.last_printed = time.monotonic()

    def _describe_task(self, index: int) -> str:
        task, update = self.state.tasks[index], self.state.latest_updates[index]
        title = self.state.title(index)
        if update.stage:
            return f"{title}: {update.stage}"
        nelbo = f", NELBO {update.nelbo:.2f}" if update.nelbo is not None else ""
        return f"{title} at step {update.steps // len(task.cells):,}{nelbo}"


def make_silent_console() -> Console:
    """A console that shows nothing, and does not redirect what others print."""
    return Console(quiet=True, force_terminal=False, force_jupyter=False)
