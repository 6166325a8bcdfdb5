"""One trial: trains and scores the cells of a pack, from their checkpoints on. No Ray here.

The process that computed a row writes it, as the last step, in one piece. A killed process loses
the work since its last checkpoint, and no more. Errors become rows with a status and a reason, and
a traceback in the log. Only interrupts and a store that cannot be written to raise. A trial is a
generator of updates; closing it saves checkpoints first.
"""

import functools
import json
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.errors import StorageError
from harness.evaluation.scoring import CellScoring, Scorer
from harness.execution.cell_rows import CellRows
from harness.experiment import provenance
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Model
from harness.storage.store import Store
from harness.training import compilation, gpu_memory, process_tuning
from harness.training.checkpoints import CheckpointWriter, load_checkpoint
from harness.training.process_tuning import flush_denormals
from harness.training.task import Task, Update
from harness.training.trainer import DIVERGENCE_THRESHOLD, CellState, PackTrainer, make_trainer

SAVE_SCORE_SECONDS = 1.0  # a score that took longer is saved before the next begins


def run(task: Task, data: Data, store: Store | None = None) -> Generator[Update, None, None]:
    """Train what is not trained, score it, write the rows.

    Yields an update every `report_seconds`, and one at the end. Closing the iterator saves
    checkpoints and ends the trial. `store` is the open store of the task's results, which a
    process keeps for all its trials; by default it is opened.
    """
    torch.set_num_threads(task.threads)
    process_tuning.keep_freed_memory()
    trial = _Trial(task, store or Store(task.results))
    registry.remember_spec(data.name, data.spec)
    try:
        for plugin in task.plugins:
            registry.load(plugin)
        with registry.isolate_model(task.cells[0].model), flush_denormals():
            yield from trial.run(data)
    except StorageError:
        raise
    except Exception as error:
        for cell in task.cells:
            if cell.id not in trial.rows.ended:
                trial.fail(cell, error)
    yield trial.report.make_update()


def new_points(pack: PackTrainer, recorded: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The points of the curves of a pack after the first `recorded`, each with its cell's id."""
    for cell, curve in zip(pack.cells, pack.curves, strict=True):
        yield from ((cell.id, point) for point in curve[recorded:])


@dataclass
class TrialReport:
    """The counters of a trial, with the meanings of `Update`; `seconds` between two reports."""

    seconds: float
    ended: Mapping[str, str]
    last_report: float = 0.0
    steps: int = 0
    step_seconds: float | None = None
    nelbo: float | None = None
    saved: int = 0
    stage: str = ""
    scored: float = 0.0
    score_seconds: float | None = None
    points: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    row: Mapping[str, Any] = field(default_factory=dict)

    def count_training(self, pack: PackTrainer, steps_before: int) -> None:
        """Take the steps, the speed and the last loss of a pack; `steps_before` are those of the
        cells that came before it.
        """
        self.steps = steps_before + pack.step * len(pack.cells)
        self.nelbo = pack.curves[0][-1].get("nelbo") if pack.curves[0] else None
        self.step_seconds = pack.seconds / (pack.step * len(pack.cells))

    def yield_if_due(self) -> Iterator[Update]:
        """An update, unless the last was less than `seconds` ago."""
        if time.monotonic() - self.last_report >= self.seconds:
            self.last_report = time.monotonic()
            yield self.make_update()

    def make_update(self) -> Update:
        """The counters as they are now, and the points since the last update."""
        points, self.points = self.points, []
        return Update(
            steps=self.steps,
            step_seconds=self.step_seconds,
            nelbo=self.nelbo,
            ended=dict(self.ended),
            saved=self.saved,
            stage=self.stage,
            scored=self.scored,
            score_seconds=self.score_seconds,
            points=points,
            row=self.row,
        )


class _Trial:
    """One run of a task."""

    def __init__(self, task: Task, store: Store):
        self.task, self.store = task, store
        self.device = torch.device("cuda" if task.gpus else "cpu")
        self.rows = CellRows(task, store)
        self.report = TrialReport(task.report_seconds, self.rows.ended)

    def run(self, data: Data) -> Iterator[Update]:
        """Score the cells that have weights, then train and score the others."""
        if self.task.gpus and not torch.cuda.is_available():
            raise RuntimeError("a GPU was granted, and torch finds no CUDA device on this machine")
        data = data.to(self.device, gpu_memory.max_data_bytes(self.device, self.task.gpus))
        self.scorer = Scorer(self.store, data, self.task.evaluation, self.task.compile)
        untrained = []
        for cell in self.task.cells:
            if not self.task.is_search and self.scorer.has_weights(cell):
                self.report.steps += cell.iterations
                yield from self._score(cell)
            else:
                untrained.append(cell)
        size = self._max_pack_size(untrained, data)
        for first in range(0, len(untrained), size):
            yield from self._train_within_memory(untrained[first : first + size], data)

    def fail(self, cell: Cell, error: Exception) -> None:
        """Record that a cell could not be trained or scored."""
        self.report.scored += 1
        self.rows.write_failure(cell, error)

    # --- training ---------------------------------------------------------------------------------

    def _max_pack_size(self, cells: list[Cell], data: Data) -> int:
        """Cells that are trained together: all, or as many as the memory of the GPU holds."""
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
        """Train cells from their checkpoints, in a group for each step at which they stopped; a
        group that runs out of memory is trained in halves.
        """
        for group in self._group_by_step(cells).values():
            group_cells, steps_before = [cell for cell, _ in group], self.report.steps
            try:
                yield from self._train(group_cells, [state for _, state in group if state], data)
                continue
            except torch.OutOfMemoryError as error:
                if len(group_cells) == 1:
                    self.fail(group_cells[0], error)
                    continue
            torch.cuda.empty_cache()  # after the except clause: its traceback holds the pack
            self.report.steps = steps_before
            middle = len(group_cells) // 2
            yield from self._train_within_memory(group_cells[:middle], data)
            yield from self._train_within_memory(group_cells[middle:], data)

    def _group_by_step(self, cells: list[Cell]) -> dict[int, list[tuple[Cell, CellState | None]]]:
        """The cells that have not ended, with their checkpoints, by the step of these."""
        groups: dict[int, list[tuple[Cell, CellState | None]]] = {}
        for cell in (cell for cell in cells if cell.id not in self.rows.ended):
            state = load_checkpoint(self.store, cell)
            groups.setdefault(state.step if state else 0, []).append((cell, state))
        return groups

    def _train(self, cells: list[Cell], states: list[CellState], data: Data) -> Iterator[Update]:
        if compilation.compiles(cells[0], self.task.compile, data.device):
            self.report.stage = "compiling"
            yield self.report.make_update()
        pack = make_trainer(cells, data, self.task.evaluation.labelled, states, self.task.compile)
        self.report.stage = ""
        checkpoints = CheckpointWriter(self.store, pack)
        try:
            yield from self._advance(pack, checkpoints)
        except GeneratorExit:
            checkpoints.save(self.rows.ended)
            raise
        if self.task.keeps_state:
            checkpoints.save(self.rows.ended)
        trained = [
            (index, cell) for index, cell in enumerate(cells) if self._finish(pack, index, cell)
        ]
        for index, cell in trained:
            yield from self._score(cell, functools.partial(pack.extract_model, index))

    def _advance(self, pack: PackTrainer, checkpoints: CheckpointWriter) -> Iterator[Update]:
        """Train a pack to its end, and save checkpoints when they are due."""
        steps_before, interval = self.report.steps, self.task.checkpoint_seconds
        while pack.running:
            recorded = len(pack.curves[0])
            pack.advance(self.task.report_seconds)
            self.report.count_training(pack, steps_before)
            if self.task.sends_points:
                self.report.points += new_points(pack, recorded)
            if self.task.reports_row and has_validation_point(pack, recorded):
                self.report.row = {"step": pack.step, **_search_columns(self.task, pack, 0)}
                yield self.report.make_update()
            self.report.saved += checkpoints.save_if_due(interval, self.rows.ended)
            yield from self.report.yield_if_due()
        self.report.saved += checkpoints.save_if_due(interval, self.rows.ended)

    def _finish(self, pack: PackTrainer, index: int, cell: Cell) -> bool:
        """Write the curve and the weights of a trained cell; False where its row is written.

        That is one that diverged, and a trial of a search, whose scores are those on validation
        images.
        """
        columns = _training_columns(self.task, pack, cell)
        self.store.write_curve(cell.id, pack.curves[index])
        step = int(pack.diverged_at[index])
        if step < 0:
            if self.task.is_search:
                self.rows.write(cell, "ok", _search_columns(self.task, pack, index))
                self.report.scored += 1
                return False
            columns |= pack.validation_columns(index)
            self.scorer.write_weights(cell, pack.extract_model(index), columns)
            self.report.saved += 1
            return True
        error = (
            f"the loss was not below {DIVERGENCE_THRESHOLD:g} nats at step {step} "
            f"(β = {cell.beta:g}, learning rate = {cell.learning_rate:g})"
        )
        self.rows.write(cell, "diverged", columns | {"error": error})
        self.report.scored += 1
        return False

    # --- scoring ----------------------------------------------------------------------------------

    def _score(self, cell: Cell, model: Callable[[], Model] | None = None) -> Iterator[Update]:
        """Score a cell whose weights are in the store, and write its row.

        Scores are saved on the way, so that a trial that ends early computes none of them twice.
        """
        scoring, report = CellScoring(self.scorer, cell, model), self.report
        cells_scored = report.scored
        last_saved, stages_done = time.monotonic(), 0
        try:
            for stage in scoring.run():
                report.stage, report.scored = str(stage), cells_scored + stage.share
                yield from report.yield_if_due()
                is_new = stage.done != stages_done
                interval = SAVE_SCORE_SECONDS if is_new else self.task.checkpoint_seconds
                if time.monotonic() - last_saved >= interval:
                    scoring.save()
                    report.saved += 1
                    last_saved, stages_done = time.monotonic(), stage.done
        except GeneratorExit:
            scoring.save()
            raise
        report.stage, report.scored, report.score_seconds = "", cells_scored + 1, scoring.seconds
        self.rows.write_scores(scoring)
        yield from report.yield_if_due()


def has_validation_point(pack: PackTrainer, recorded: int) -> bool:
    """Whether the first cell's curve has a point with validation scores after `recorded` points."""
    return any(name.startswith("validation_") for p in pack.curves[0][recorded:] for name in p)


def _search_columns(task: Task, pack: PackTrainer, index: int) -> dict[str, Any]:
    """The columns of a trial of a search: its only scores are those on validation images."""
    return {
        **_training_columns(task, pack, pack.cells[index]),
        **pack.validation_columns(index),
        "parameters": sum(each.numel() for each in pack.model.parameters()),
        "data_checksum": pack.data.checksum,
        "evaluated": "",
    }


def _training_columns(task: Task, pack: PackTrainer, cell: Cell) -> dict[str, Any]:
    """The columns of a row that describe the training."""
    return {
        "train_seconds": pack.seconds_per_cell,
        "pack": len(pack.cells),
        "threads": task.threads,
        "device": provenance.describe_device(pack.device),
        "host": socket.gethostname(),
        "git_commit": task.commit,
        "versions": json.dumps(provenance.library_versions() | {"objective": pack.backend}),
        "source": registry.source_hash(cell.model),
    }
