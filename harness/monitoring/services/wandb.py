"""The tracker `wandb`: a run of Weights & Biases for each cell, grouped by arm.

The project is the grid. A run has the cell's id, so a cell that is reported again continues its run
and is not there twice. `WANDB_MODE=offline` keeps all on this machine until `wandb sync`.
"""

from collections.abc import Mapping
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


@register_tracker("wandb")
class WeightsAndBiases:
    """Reports learning curves and rows to Weights & Biases."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}  # of cells that have not ended, by id

    def check(self, results: str) -> None:
        """Refuse an environment without wandb."""
        try:
            import wandb  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"tracker 'wandb' needs wandb ({error}); expected pip install wandb"
            ) from None

    def on_run_start(self, run: TrackedRun) -> None:
        """Keep what names the runs."""
        self.run = run

    def on_update(self, cell: str, point: Mapping[str, Any]) -> None:
        """Add a point of a learning curve."""
        values = {name: value for name, value in point.items() if value is not None}
        self._open(cell).log(values, step=values.pop("step"))

    def on_row(self, row: Mapping[str, Any]) -> None:
        """Add the scores of a cell to its summary and end its run."""
        run = self._open(row["cell"])
        scores = {f"final/{name}": value for name, value in list_scores(row).items()}
        run.summary.update({**scores, "status": row["status"], "error": row["error"] or ""})
        run.finish(exit_code=0 if row["status"] == "ok" else 1)
        del self.runs[row["cell"]]

    def on_run_end(self, end: str) -> None:
        """End what has not ended; write the means of the arms of this run, over all their rows."""
        for run in self.runs.values():
            run.finish(exit_code=1)
        rows = Store(self.run.results).rows().values()
        for arm in summarize_arms(self.run, rows):
            run = self._init(f"arm-{arm.id}", f"{arm.name}: mean ± SE", arm.name, {})
            run.summary.update(arm.values)
            run.finish()

    def _open(self, cell: str) -> Any:
        """The run of a cell, which is started or continued."""
        if cell not in self.runs:
            described = self.run.cells[cell]
            name = described["name"]
            config = describe_columns(described)
            self.runs[cell] = self._init(cell, name, name_arm(name), config)
        return self.runs[cell]

    def _init(self, run: str, name: str, arm: str, config: Mapping[str, Any]) -> Any:
        import wandb

        return wandb.init(
            project=self.run.grid,
            id=run,
            name=name,
            group=arm,
            config=dict(config),
            resume="allow",
            reinit="create_new",  # cells of a pack are reported side by side
            settings=wandb.Settings(silent=True, console="off"),
        )
