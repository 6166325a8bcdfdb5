"""One trial: a pack of cells from start, or from their checkpoints, to their rows. No Ray here.

A row is written last, whole, by the process that computed it; whatever kills a trial before that
costs at most the work since the last checkpoint. Errors become rows with a status and a reason, and
a traceback in the log; only an interrupt leaves this module, and a place that takes no rows any
more. A trial is a generator of updates: whoever runs it may close it, and it saves checkpoints
first.
"""

import functools
import json
import socket
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch

from harness.errors import StorageError
from harness.evaluation.scoring import CellScoring, Scorer, describe_error
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Model
from harness.storage import provenance, tensor_file
from harness.storage.layout import checkpoint_key, log_key, scores_key, weights_key
from harness.storage.store import Store
from harness.training import gpu_memory, process_tuning
from harness.training.process_tuning import flush_denormals
from harness.training.rows import write_row
from harness.training.task import Task, Update
from harness.training.tensorboard import TensorBoardWriter
from harness.training.trainer import DIVERGENCE_THRESHOLD, CellState, PackTrainer, make_trainer

SAVE_SCORE_SECONDS = 1.0  # a score that took longer is kept before the next begins


def run(task: Task, data: Data, store: Store | None = None) -> Generator[Update, None, None]:
    """Train what is not trained, score it, write the rows.

    Yields an update every `report_seconds`, and one at the end. Closing the iterator saves
    checkpoints and ends the trial. `store` is the open store of the task's results, which a
    process keeps for all its trials; by default it is opened.
    """
    torch.set_num_threads(task.threads)
    process_tuning.keep_freed_memory()
    trial = _Trial(task, store or Store(task.results))
    try:
        for plugin in task.plugins:
            registry.load(plugin)
        with registry.isolate_model(task.cells[0].model), flush_denormals():
            yield from trial.run(data)
    except StorageError:
        raise
    except Exception as error:
        for cell in task.cells:
            if cell.id not in trial.ended:
                trial.fail(cell, error)
    yield trial.make_update()


class _Trial:
    """The state of one run of a task."""

    def __init__(self, task: Task, store: Store):
        self.task, self.store = task, store
        self.device = torch.device("cuda" if task.gpus else "cpu")
        self.ended: dict[str, str] = {}
        self.steps = 0
        self.step_seconds: float | None = None
        self.nelbo: float | None = None
        self.saved = 0
        self.saved_step = 0
        self.last_report = 0.0
        self.stage = ""
        self.scored = 0.0
        self.score_seconds: float | None = None

    def run(self, data: Data) -> Iterator[Update]:
        if self.task.gpus and not torch.cuda.is_available():
            raise RuntimeError("a GPU was granted, and torch finds no CUDA device on this machine")
        data = data.to(self.device)
        self.scorer = Scorer(self.store, data, self.task.evaluation)
        training = []
        for cell in self.task.cells:
            if self.scorer.has_weights(cell):
                self.steps += cell.iterations
                yield from self._score(cell)
            else:
                training.append(cell)
        size = self._max_pack_size(training, data)
        for first in range(0, len(training), size):
            yield from self._train_within_memory(training[first : first + size], data)

    # --- training ---------------------------------------------------------------------------------

    def _max_pack_size(self, cells: list[Cell], data: Data) -> int:
        """Cells that are trained together: all of them, and on a GPU as many as its memory holds."""
        if self.device.type == "cpu" or not cells:
            return max(1, len(cells))
        labelled_indices = self.task.evaluation.labelled
        return gpu_memory.max_pack_size(
            lambda size: gpu_memory.measure_peak_bytes(
                lambda: PackTrainer(cells[:size], data, labelled_indices).train_step(), self.device
            ),
            gpu_memory.available_bytes(self.device, self.task.gpus),
            len(cells),
        )

    def _train_within_memory(self, cells: list[Cell], data: Data) -> Iterator[Update]:
        """Train cells from their checkpoints, those at one step together; what runs out of memory
        goes on in halves.
        """
        groups_by_step: dict[int, list[tuple[Cell, CellState | None]]] = {}
        for cell in (cell for cell in cells if cell.id not in self.ended):
            state = self._load_checkpoint(cell)
            groups_by_step.setdefault(state.step if state else 0, []).append((cell, state))
        for group in groups_by_step.values():
            group_cells, steps_before = [cell for cell, _ in group], self.steps
            try:
                yield from self._train(group_cells, [state for _, state in group if state], data)
                continue
            except torch.OutOfMemoryError as error:
                if len(group_cells) == 1:
                    self.fail(group_cells[0], error)
                    continue
            torch.cuda.empty_cache()  # out of the except clause, whose traceback holds the pack
            self.steps = steps_before
            middle = len(group_cells) // 2
            yield from self._train_within_memory(group_cells[:middle], data)
            yield from self._train_within_memory(group_cells[middle:], data)

    def _train(self, cells: list[Cell], states: list[CellState], data: Data) -> Iterator[Update]:
        pack = make_trainer(cells, data, self.task.evaluation.labelled, states, self.task.compile)
        self.saved_step = pack.step
        try:
            yield from self._advance(pack)
        except GeneratorExit:
            self._save_checkpoints(pack)
            raise
        trained = [
            (index, cell) for index, cell in enumerate(cells) if self._finish(pack, index, cell)
        ]
        for index, cell in trained:
            yield from self._score(cell, functools.partial(pack.extract_model, index))

    def _advance(self, pack: PackTrainer) -> Iterator[Update]:
        """Train a pack to its end, with checkpoints on the way and one where the last is older than
        wished for.
        """
        board = TensorBoardWriter(self.store, pack.cells) if self.task.tensorboard else None
        steps_before, last_saved = self.steps, time.monotonic()
        while pack.running:
            pack.advance(self.task.report_seconds)
            self.steps = steps_before + pack.step * len(pack.cells)
            self.nelbo = pack.curves[0][-1].get("nelbo") if pack.curves[0] else None
            self.step_seconds = pack.seconds / (pack.step * len(pack.cells))
            if board:
                board.add(pack.curves)
            if time.monotonic() - last_saved >= self.task.checkpoint_seconds:
                self._save_checkpoints(pack)
                last_saved = time.monotonic()
            yield from self.report_if_due()
        if time.monotonic() - last_saved >= self.task.checkpoint_seconds:
            self._save_checkpoints(pack)

    def _save_checkpoints(self, pack: PackTrainer) -> None:
        """Write the training state of every cell that has not ended or diverged, unless it lies
        there.
        """
        if pack.step == self.saved_step:
            return
        for index, cell in enumerate(pack.cells):
            if cell.id not in self.ended and pack.diverged_at[index] < 0:
                state = pack.extract_state(index)
                record = {"step": state.step, "seconds": state.seconds, "curve": state.curve}
                record["source"] = registry.source_hash(cell.model)
                self.store.write(checkpoint_key(cell), tensor_file.dump(state.tensors, record))
        self.saved_step = pack.step
        self.saved += 1

    def _load_checkpoint(self, cell: Cell) -> CellState | None:
        """Where a cell's training stood, unless another text of its model trained it."""
        content = self.store.read(checkpoint_key(cell))
        tensors, record = ({}, {}) if content is None else tensor_file.parse(content)
        if content is None or record.get("source") != registry.source_hash(cell.model):
            return None
        return CellState(tensors, record["step"], record["seconds"], record["curve"])

    def _finish(self, pack: PackTrainer, index: int, cell: Cell) -> bool:
        """Write what training gave, the weights last; False for a cell that diverged, whose row is
        written.
        """
        training_columns = {
            "train_seconds": pack.seconds_per_cell,
            "pack": len(pack.cells),
            "threads": self.task.threads,
            "device": provenance.describe_device(self.device),
            "host": socket.gethostname(),
            "git_commit": self.task.commit,
            "versions": json.dumps(provenance.library_versions() | {"objective": pack.backend}),
            "source": registry.source_hash(cell.model),
        }
        self.store.write_curve(cell.id, pack.curves[index])
        step = int(pack.diverged_at[index])
        if step < 0:
            self.scorer.write_weights(cell, pack.extract_model(index), training_columns)
            self.saved += 1
            return True
        error = (
            f"the loss was not below {DIVERGENCE_THRESHOLD:g} nats at step {step} "
            f"(β = {cell.beta:g}, learning rate = {cell.learning_rate:g})"
        )
        self._write_row(cell, "diverged", training_columns | {"error": error})
        self.scored += 1
        return False

    # --- scoring ----------------------------------------------------------------------------------

    def _score(self, cell: Cell, model: Callable[[], Model] | None = None) -> Iterator[Update]:
        """Score a cell whose weights are in the store, and write its row; what fails costs no score
        that is there.
        """
        scoring, cells_scored = CellScoring(self.scorer, cell, model), self.scored
        last_saved, stages_done = time.monotonic(), 0
        try:
            for stage in scoring.run():
                self.stage, self.scored = str(stage), cells_scored + stage.share
                yield from self.report_if_due()
                if time.monotonic() - last_saved >= (
                    self.task.checkpoint_seconds
                    if stage.done == stages_done
                    else SAVE_SCORE_SECONDS
                ):
                    scoring.save()
                    self.saved += 1
                    last_saved, stages_done = time.monotonic(), stage.done
        except GeneratorExit:
            scoring.save()
            raise
        self.stage, self.scored, self.score_seconds = "", cells_scored + 1, scoring.seconds
        self._write_scores(scoring)
        yield from self.report_if_due()

    def _write_scores(self, scoring: CellScoring) -> None:
        """The row that a scoring gives, unless there is a good one to which it adds nothing; then
        what failed.
        """
        cell, error = scoring.cell, scoring.error
        if error is not None:
            self._write_log(cell, error)
        if not scoring.scored_before or scoring.scores.values:
            self._write_row(cell, scoring.status, scoring.row())
        self.store.remove(scores_key(cell.id))
        if error is not None and scoring.status == "ok":
            self.ended[cell.id] = "unscored"
        else:
            self.ended[cell.id] = scoring.status

    # --- rows -------------------------------------------------------------------------------------

    def fail(self, cell: Cell, error: Exception) -> None:
        """The row and the log of a cell that could not be trained; its checkpoint stays, for
        another try.

        A row that is good stays as it is: the cell was to get one more score.
        """
        self._write_log(cell, error)
        self.scored += 1
        row = self.store.row(cell.id)
        if (
            row is not None
            and row["status"] == "ok"
            and self.store.read(weights_key(cell)) is not None
        ):
            self.ended[cell.id] = "unscored"
        else:
            self._write_row(cell, "failed", {"error": describe_error(error)})

    def _write_log(self, cell: Cell, error: Exception) -> None:
        """What went wrong in a line, and where."""
        text = f"{describe_error(error)}\n\n{''.join(traceback.format_exception(error))}"
        self.store.write(log_key(cell.id), text.encode())

    def _write_row(self, cell: Cell, status: str, values: dict[str, Any]) -> None:
        write_row(self.store, self.task, cell, status, values)
        if status != "failed":
            self.store.remove(checkpoint_key(cell))
        self.ended[cell.id] = status

    def report_if_due(self) -> Iterator[Update]:
        """How the trial stands, unless that was told less than `report_seconds` ago."""
        if time.monotonic() - self.last_report >= self.task.report_seconds:
            self.last_report = time.monotonic()
            yield self.make_update()

    def make_update(self) -> Update:
        """How the trial stands."""
        return Update(
            steps=self.steps,
            step_seconds=self.step_seconds,
            nelbo=self.nelbo,
            ended=dict(self.ended),
            saved=self.saved,
            stage=self.stage,
            scored=self.scored,
            score_seconds=self.score_seconds,
        )
