"""The tracker `trackio`: a run for each cell, grouped by arm, and one for each arm with its means.

The project is the grid, which Trackio keeps on this machine (`TRACKIO_DIR`). It finds a run by its
name, so the name ends with the start of the cell's id. It adds values and replaces none: a cell
that was scored once more keeps the scores that are there, until its run is deleted.
"""

import contextvars
import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from harness.errors import InputError
from harness.monitoring.services.arm_summary import (
    describe_columns,
    list_scores,
    name_arm,
    summarize_arms,
)
from harness.plugins.tracker import TrackedRun, register_tracker
from harness.storage.store import Store

ID_LETTERS = 8  # of an id, in the name of a run


@register_tracker("trackio")
class Trackio:
    """Reports learning curves and rows to Trackio."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}  # of cells that have not ended, by id
        self.steps: dict[str, int] = {}  # the last step that Trackio has, by cell

    def check(self, results: str) -> None:
        """Refuse an environment without Trackio."""
        try:
            import trackio  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"tracker 'trackio' needs Trackio ({error}); expected pip install trackio"
            ) from None

    def on_run_start(self, run: TrackedRun) -> None:
        """Keep what names the runs."""
        self.run = run

    def on_update(self, cell: str, point: Mapping[str, Any]) -> None:
        """Add a point of a learning curve, unless Trackio has it."""
        values = {name: value for name, value in point.items() if value is not None}
        self._log(cell, values, values.pop("step"))

    def on_row(self, row: Mapping[str, Any]) -> None:
        """Add the scores one step after the last, unless Trackio has them, and end the run.

        A row without scores adds nothing, as the cell may be trained again.
        """
        scores = {f"final/{name}": value for name, value in list_scores(row).items()}
        run = self._open(row["cell"])
        if row["status"] == "ok":
            self._log(row["cell"], scores | {"status": "ok"}, row["iterations"] + 1)
        _finish(run)
        del self.runs[row["cell"]]

    def on_run_end(self, end: str) -> None:
        """End what has not ended; write the means of the arms of this run, over all their rows.

        The step of a mean is the number of its cells.
        """
        for run in self.runs.values():
            _finish(run)
        rows = Store(self.run.results).rows().values()
        for arm in summarize_arms(self.run, rows):
            name = f"{arm.name}: mean ± SE ({arm.id[:ID_LETTERS]})"
            run, last = self._init(name, arm.name, {})
            if arm.values["n"] > last:
                run.log(dict(arm.values), step=int(arm.values["n"]))
            _finish(run)

    def _open(self, cell: str) -> Any:
        """The run of a cell, which is started or continued."""
        if cell not in self.runs:
            described = self.run.cells[cell]
            name, config = described["name"], describe_columns(described) | {"cell": cell}
            run, last = self._init(f"{name} ({cell[:ID_LETTERS]})", name_arm(name), config)
            self.runs[cell], self.steps[cell] = run, last
        return self.runs[cell]

    def _log(self, cell: str, values: Mapping[str, Any], step: int) -> None:
        """Add values at a step of a cell's run, unless Trackio has that step."""
        run = self._open(cell)
        if step > self.steps[cell]:
            self.steps[cell] = step
            run.log(dict(values), step=step)

    def _init(self, name: str, arm: str, config: Mapping[str, Any]) -> tuple[Any, int]:
        """A run of Trackio and the last step that it has (-1: none)."""
        import trackio

        # in an own context, as `init` ends the run before it, and the cells of a pack run together
        with redirect_stdout(io.StringIO()):
            run = contextvars.Context().run(
                trackio.init,
                project=self.run.grid,
                name=name,
                group=arm,
                config=dict(config),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return run, run._next_step - 1


def _finish(run: Any) -> None:
    """Send what is left of a run and end it, without Trackio's lines."""
    with redirect_stdout(io.StringIO()):
        run.finish()
