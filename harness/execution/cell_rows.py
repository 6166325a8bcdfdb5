"""The rows and logs that a trial writes for its cells."""

import traceback
from collections.abc import Mapping
from typing import Any

from harness.evaluation.scoring import CellScoring, describe_error
from harness.experiment.cell import Cell
from harness.storage.layout import checkpoint_key, log_key, scores_key, weights_key
from harness.storage.store import Store
from harness.training.rows import write_row
from harness.training.task import Task


class CellRows:
    """Writes rows and logs; `ended` holds how each cell ended, by its id.

    That is the status of its row, or "unscored" where a good row lacks a score that was wanted.
    """

    def __init__(self, task: Task, store: Store):
        self.task, self.store = task, store
        self.ended: dict[str, str] = {}

    def write(self, cell: Cell, status: str, values: Mapping[str, Any]) -> None:
        """Write the row of a cell; its checkpoint is removed unless it is needed."""
        write_row(self.store, self.task, cell, status, values)
        is_needed = self.task.keeps_state and status == "ok"
        if status != "failed" and not is_needed:
            self.store.remove(checkpoint_key(cell))
        self.ended[cell.id] = status

    def write_scores(self, scoring: CellScoring) -> None:
        """Write the row that a scoring gives, and its error to the log.

        A good row to which the scoring adds nothing stays as it is.
        """
        cell, error = scoring.cell, scoring.error
        if error is not None:
            self._write_log(cell, error)
        if not scoring.scored_before or scoring.scores.values:
            self.write(cell, scoring.status, scoring.row())
        self.store.remove(scores_key(cell.id))
        is_incomplete = error is not None and scoring.status == "ok"
        self.ended[cell.id] = "unscored" if is_incomplete else scoring.status

    def write_failure(self, cell: Cell, error: Exception) -> None:
        """Write the failed row and the log of a cell; its checkpoint stays for a retry.

        A good row with weights stays as it is: only a score of it is missing.
        """
        self._write_log(cell, error)
        row = self.store.row(cell.id)
        is_trained = row is not None and row["status"] == "ok"
        if is_trained and self.store.read(weights_key(cell)) is not None:
            self.ended[cell.id] = "unscored"
        else:
            self.write(cell, "failed", {"error": describe_error(error)})

    def _write_log(self, cell: Cell, error: Exception) -> None:
        """The error in one line, and its traceback."""
        text = f"{describe_error(error)}\n\n{''.join(traceback.format_exception(error))}"
        self.store.write(log_key(cell.id), text.encode())
