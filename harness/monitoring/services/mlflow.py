"""The tracker `mlflow`: a run for each cell, and one for each arm with its means.

The server or folder is that of MLflow's settings (`MLFLOW_TRACKING_URI`). Its experiment is the
grid. A run is found again by its tag `cell`, so nothing is there twice.
"""

import time
from collections.abc import Mapping
from typing import Any

from harness.errors import InputError
from harness.monitoring.services.arm_summary import (
    ArmSummary,
    describe_columns,
    list_scores,
    name_arm,
    summarize_arms,
)
from harness.plugins.tracker import TrackedRun, register_tracker
from harness.storage.store import Store

MOST_LETTERS = 5000  # of a tag's value


@register_tracker("mlflow")
class MLflow:
    """Reports learning curves and rows to MLflow."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}  # MLflow's ids, by cell
        self.steps: dict[str, int] = {}  # the last step that MLflow has, by cell
        self.finished: dict[str, str] = {}  # when the row was written that MLflow has, by cell

    def check(self, results: str) -> None:
        """Refuse an environment without MLflow."""
        try:
            import mlflow  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"tracker 'mlflow' needs MLflow ({error}); expected pip install mlflow"
            ) from None

    def on_run_start(self, run: TrackedRun) -> None:
        """Open the experiment of the grid."""
        from mlflow import MlflowClient

        self.client, self.run = MlflowClient(), run
        found = self.client.get_experiment_by_name(run.grid)
        self.experiment = found.experiment_id if found else self.client.create_experiment(run.grid)

    def on_update(self, cell: str, point: Mapping[str, Any]) -> None:
        """Add a point of a learning curve, unless MLflow has it."""
        run = self._open(cell)
        if point["step"] > self.steps[cell]:
            self.steps[cell] = point["step"]
            self._log(run, {k: v for k, v in point.items() if k != "step"}, point["step"])

    def on_row(self, row: Mapping[str, Any]) -> None:
        """Add the scores of a cell and end its run, unless MLflow has this row."""
        run = self._open(row["cell"])
        if row["finished"] and self.finished.get(row["cell"]) == row["finished"]:
            return
        scores = {f"final/{name}": value for name, value in list_scores(row).items()}
        self._log(run, scores, row["iterations"] or 0)
        self.client.set_tag(run, "status", row["status"])
        self.client.set_tag(run, "finished", row["finished"] or "")
        if row["error"]:
            self.client.set_tag(run, "error", row["error"][:MOST_LETTERS])
        self.client.set_terminated(run, "FINISHED" if row["status"] == "ok" else "FAILED")

    def on_run_end(self, end: str) -> None:
        """Write the means of the arms of this run, over all their rows in the results."""
        rows = Store(self.run.results).rows().values()
        for arm in summarize_arms(self.run, rows):
            self._log_arm(arm)

    def _open(self, cell: str) -> str:
        """MLflow's run of a cell, which is created where there is none."""
        if cell not in self.runs:
            described = self.run.cells[cell]
            run = self._find("cell", cell)
            self.steps[cell] = self._read_last_step(run) if run else -1
            if run:
                tags = self.client.get_run(run).data.tags
                self.finished[cell] = tags.get("finished", "")
            else:
                name = described["name"]
                tags = {"cell": cell, "arm": name_arm(name), "mlflow.runName": name}
                run = self._create(tags)
                for column, value in describe_columns(described).items():
                    self.client.log_param(run, column, value)
            self.runs[cell] = run
        return self.runs[cell]

    def _log_arm(self, arm: ArmSummary) -> None:
        run = self._find("arm_summary", arm.id) or self._create(
            {"arm_summary": arm.id, "arm": arm.name, "mlflow.runName": f"{arm.name}: mean ± SE"}
        )
        known = self.client.get_run(run).data.metrics
        changed = {name: value for name, value in arm.values.items() if known.get(name) != value}
        self._log(run, changed, int(arm.values["n"]))
        self.client.set_terminated(run)

    def _create(self, tags: Mapping[str, str]) -> str:
        run_id: str = self.client.create_run(self.experiment, tags=dict(tags)).info.run_id
        return run_id

    def _find(self, tag: str, value: str) -> str | None:
        quoted = value.replace("'", "\\'")
        found = self.client.search_runs([self.experiment], f"tags.{tag} = '{quoted}'")
        return found[0].info.run_id if found else None

    def _read_last_step(self, run: str) -> int:
        names = [n for n in self.client.get_run(run).data.metrics if not n.startswith("final/")]
        histories = [self.client.get_metric_history(run, name) for name in names]
        return max((point.step for history in histories for point in history), default=-1)

    def _log(self, run: str, values: Mapping[str, float | None], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(n, v, now, step) for n, v in values.items() if v is not None]
        self.client.log_batch(run, metrics=metrics)
