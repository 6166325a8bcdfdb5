"""One trial: a pack of cells from start, or from their checkpoints, to their rows. No Ray here.

A row is written last, whole, by the process that computed it; whatever kills a trial before that costs at most the work
since the last checkpoint. Errors become rows with a status and a reason, and a traceback in the log; only an interrupt
leaves this module, and a place that takes no rows any more. A trial is a generator of updates: whoever runs it may
close it, and it saves checkpoints first.
"""

import json
import socket
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from harness import judge, memory, pictures, provenance, registry, schema, score, tensorfile
from harness.choices import Compile
from harness.contract import Classifier, Model
from harness.data import Data, scaled
from harness.engine import BLOWN_UP, CellState, Pack, no_denormals, prepared
from harness.errors import StorageFailure
from harness.evaluation import Evaluation
from harness.grid import Cell
from harness.pictures import COLUMNS, ROWS
from harness.plugin_files import Plugin
from harness.seeding import Training
from harness.store import Store

COUNTED = 10_000


@dataclass(frozen=True)
class Task:
    """What a worker is handed: the cells of one pack and all it must know to turn them into rows."""

    cells: tuple[Cell, ...]
    results: str
    evaluation: Evaluation = field(default_factory=Evaluation)
    grid: str = ""
    run: str = ""
    commit: str = "unknown"
    plugins: tuple[Plugin, ...] = ()
    threads: int = 1
    gpus: float = 0.0
    compile: Compile = "auto"
    checkpoint_seconds: float = 60.0
    report_seconds: float = 1.0
    tensorboard: bool = False


@dataclass(frozen=True)
class Update:
    """How a trial stands: steps done of its cells together, seconds a step, NELBO of the first, cells that ended.

    `saved` counts the checkpoints written by this process: what is lost if it dies now began at the last of them.
    `waits` is set where the process has died, and no other has begun with what is left.
    """

    steps: int = 0
    step_seconds: float | None = None
    nelbo: float | None = None
    ended: Mapping[str, str] = field(default_factory=dict)
    saved: int = 0
    waits: bool = False


def run(task: Task, data: Data) -> Generator[Update, None, None]:
    """Train what is not trained, score it, write the rows; an update every `report_seconds`, and one at the end.

    Closing the iterator ends the trial where it stands, checkpoints first.
    """
    torch.set_num_threads(task.threads)
    memory.keep_freed()
    trial = _Trial(task, Store(task.results))
    try:
        for plugin in task.plugins:
            registry.load(plugin)
        with registry.room(task.cells[0].model), no_denormals():
            yield from trial.work(data)
    except StorageFailure:
        raise
    except Exception as error:
        for cell in task.cells:
            if cell.id not in trial.ended:
                trial.fail(cell, error)
    yield trial.update()


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
        self.kept = 0
        self.told = 0.0

    def work(self, data: Data) -> Iterator[Update]:
        if self.task.gpus and not torch.cuda.is_available():
            raise RuntimeError("a GPU was granted, and torch finds no CUDA device on this machine")
        data = data.to(self.device)
        training = []
        for cell in self.task.cells:
            trained = self._trained_before(cell)
            if trained is not None:
                self._score(cell, *trained, data)
                yield from self.tell()
            else:
                training.append(cell)
        size = self._fitting(training, data)
        for first in range(0, len(training), size):
            yield from self._train_guarded(training[first : first + size], data)

    # --- training ----------------------------------------------------------------------------------------------------

    def _fitting(self, cells: list[Cell], data: Data) -> int:
        """Cells that are trained together: all of them, and on a GPU as many as its memory holds."""
        if self.device.type == "cpu" or not cells:
            return max(1, len(cells))
        listed = self.task.evaluation.labelled
        return memory.fitting(
            lambda size: memory.peak(lambda: Pack(cells[:size], data, listed).one_step(), self.device),
            memory.room(self.device, self.task.gpus),
            len(cells),
        )

    def _train_guarded(self, cells: list[Cell], data: Data) -> Iterator[Update]:
        """Train cells from their checkpoints, those at one step together; what runs out of memory goes on in halves."""
        standing: dict[int, list[tuple[Cell, CellState | None]]] = {}
        for cell in (cell for cell in cells if cell.id not in self.ended):
            state = self._checkpoint(cell)
            standing.setdefault(state.step if state else 0, []).append((cell, state))
        for group in standing.values():
            together, before = [cell for cell, _ in group], self.steps
            try:
                yield from self._train(together, [state for _, state in group if state], data)
                continue
            except torch.OutOfMemoryError as error:
                if len(together) == 1:
                    self.fail(together[0], error)
                    continue
            torch.cuda.empty_cache()  # out of the except clause, whose traceback holds the pack
            self.steps = before
            middle = len(together) // 2
            yield from self._train_guarded(together[:middle], data)
            yield from self._train_guarded(together[middle:], data)

    def _train(self, cells: list[Cell], states: list[CellState], data: Data) -> Iterator[Update]:
        pack = prepared(cells, data, self.task.evaluation.labelled, states, self.task.compile)
        self.kept = pack.step
        try:
            yield from self._advance(pack)
            for index, cell in enumerate(cells):
                self._finish(pack, index, cell, data)
                yield from self.tell()
        except GeneratorExit:
            self._save(pack)
            raise

    def _advance(self, pack: Pack) -> Iterator[Update]:
        """Train a pack to its end, with checkpoints on the way and one where the last is older than wished for."""
        board = _Board(self.store, pack.cells) if self.task.tensorboard else None
        before, saved = self.steps, time.monotonic()
        while pack.running:
            pack.advance(self.task.report_seconds)
            self.steps = before + pack.step * len(pack.cells)
            self.nelbo = pack.curves[0][-1].get("nelbo") if pack.curves[0] else None
            self.step_seconds = pack.seconds / (pack.step * len(pack.cells))
            if board:
                board.add(pack.curves)
            if time.monotonic() - saved >= self.task.checkpoint_seconds:
                self._save(pack)
                saved = time.monotonic()
            yield from self.tell()
        if time.monotonic() - saved >= self.task.checkpoint_seconds:
            self._save(pack)

    def _save(self, pack: Pack) -> None:
        """Write the training state of every cell that has not ended or diverged, unless it lies there."""
        if pack.step == self.kept:
            return
        for index, cell in enumerate(pack.cells):
            if cell.id not in self.ended and pack.diverged_at[index] < 0:
                state = pack.state(index)
                record = {"step": state.step, "seconds": state.seconds, "curve": state.curve}
                self.store.write(checkpoint_key(cell), tensorfile.dump(state.tensors, record))
        self.kept = pack.step
        self.saved += 1

    def _checkpoint(self, cell: Cell) -> CellState | None:
        content = self.store.read(checkpoint_key(cell))
        if content is None:
            return None
        tensors, record = tensorfile.parse(content)
        return CellState(tensors, record["step"], record["seconds"], record["curve"])

    def _finish(self, pack: Pack, index: int, cell: Cell, data: Data) -> None:
        trained = {
            "train_seconds": pack.share,
            "pack": len(pack.cells),
            "threads": self.task.threads,
            "device": provenance.device(self.device),
            "host": socket.gethostname(),
            "git_commit": self.task.commit,
            "versions": json.dumps(provenance.versions() | {"objective": pack.how}),
        }
        self.store.write_curve(cell.id, pack.curves[index])
        step = int(pack.diverged_at[index])
        if step >= 0:
            reason = (
                f"the loss was not below {BLOWN_UP:g} nats at step {step} "
                f"(β = {cell.beta:g}, learning rate = {cell.learning_rate:g})"
            )
            self._write(cell, "diverged", trained | {"error": reason})
        else:
            self._score(cell, pack.trained(index), trained, data)

    # --- scoring -----------------------------------------------------------------------------------------------------

    def _trained_before(self, cell: Cell) -> tuple[Model, dict[str, Any]] | None:
        """A finished cell that is asked for more scores: its model and its row."""
        weights = self.store.read(weights_key(cell))
        row = None if weights is None else self.store.row(cell.id)
        if weights is None or row is None or row["status"] != "ok":
            return None
        model = registry.build(cell).to(self.device)
        model.load_state_dict(tensorfile.parse(weights)[0])
        return model.eval(), {name: value for name, value in row.items() if value is not None}

    def _score(self, cell: Cell, model: Model, known: dict[str, Any], data: Data) -> None:
        started = time.perf_counter()
        try:
            scores = self._scores(cell, model, data)
        except StorageFailure:
            raise
        except Exception as error:
            self.fail(cell, error)
            return
        self.store.write(weights_key(cell), tensorfile.dump(dict(model.state_dict()), {"cell": cell.id}))
        before = set((known.get("evaluated") or "").split(",")) - {""}
        values = known | scores
        values["evaluated"] = ",".join(sorted(self.task.evaluation.asked(cell) | before))
        values["parameters"] = sum(parameter.numel() for parameter in model.parameters())
        values["score_seconds"] = time.perf_counter() - started
        values["data_checksum"] = data.checksum
        lost = [name for name, value in scores.items() if isinstance(value, float) and value != value]
        if lost:
            self._write(cell, "diverged", values | {"error": f"not finite after training: {', '.join(lost)}"})
        else:
            self._write(cell, "ok", values)

    def _scores(self, cell: Cell, model: Model, data: Data) -> dict[str, Any]:
        evaluation = self.task.evaluation
        scores = self._accuracy(cell, model, data)
        if not cell.has_bound:
            return scores
        scores |= score.bound(model, data) | self._samples(cell, model, data)
        if "test" in evaluation.iwae_on:
            scores |= score.iwae(model, score.test_images(data), evaluation.iwae)
        if evaluation.covers(cell):
            subset = score.subset_bound(model, data, evaluation.subset)
            if "subset" in evaluation.iwae_on:
                subset |= score.iwae(model, score.subset_images(data, evaluation.subset), evaluation.iwae)
            scores |= {f"subset_{name}": value for name, value in subset.items()}
            scores["subset_checksum"] = evaluation.subset_checksum
        return scores

    def _accuracy(self, cell: Cell, model: Model, data: Data) -> dict[str, Any]:
        if not isinstance(model, Classifier):
            return {}
        predicted = score.classes(model, scaled(data.test_x))
        self.store.write_classes(f"predictions/{cell.id}.npy", predicted.cpu().numpy())
        return {"accuracy": float((predicted == data.test_y).sum()) / len(predicted)}

    def _samples(self, cell: Cell, model: Model, data: Data) -> dict[str, Any]:
        images = score.samples(model, COUNTED, self.device)
        sheets = {
            "samples": images[: ROWS * COLUMNS],
            "reconstructions": score.reconstructions(model, data, ROWS, COLUMNS),
            "traversals": score.traversals(model, ROWS, COLUMNS, self.device),
        }
        for kind, sheet in sheets.items():
            if sheet is not None:
                self.store.write(f"{kind}/{cell.id}.png", pictures.gallery(sheet))
        counter = judge.load(self.store, data)
        return {
            "digit_counts": counter.counts(images),
            "digit_counts_200": counter.counts(images[: ROWS * COLUMNS]),
            "judge_accuracy": counter.accuracy,
            "judge_accuracy_binary": counter.accuracy_binary,
        }

    # --- rows --------------------------------------------------------------------------------------------------------

    def fail(self, cell: Cell, error: Exception) -> None:
        """Write the row and the log of a cell that could not be finished; its checkpoint stays, for another try."""
        self.store.write(log_key(cell.id), "".join(traceback.format_exception(error)).encode())
        self._write(cell, "failed", {"error": f"{type(error).__name__}: {error}"})

    def _write(self, cell: Cell, status: str, values: dict[str, Any]) -> None:
        write_row(self.store, self.task, cell, status, values)
        if status != "failed":
            self.store.remove(checkpoint_key(cell))
        self.ended[cell.id] = status

    def tell(self) -> Iterator[Update]:
        """How the trial stands, unless that was told less than `report_seconds` ago."""
        if time.monotonic() - self.told >= self.task.report_seconds:
            self.told = time.monotonic()
            yield self.update()

    def update(self) -> Update:
        return Update(self.steps, self.step_seconds, self.nelbo, dict(self.ended), self.saved)


def write_row(store: Store, task: Task, cell: Cell, status: str, values: Mapping[str, Any]) -> None:
    """Write the row of a cell that ended with a status."""
    fixed = {
        "grid": task.grid,
        "run": task.run,
        "seeded": ",".join(seeded(cell)),
        "full_length": registry.lookup(cell.model).iterations,
        "status": status,
        "finished": provenance.now(),
        "source": _source(cell, values),
    }
    store.write_row({**values, **schema.describe(cell), **fixed})


def _source(cell: Cell, values: Mapping[str, Any]) -> str | None:
    """The plug-in that trained a cell and, after a comma, another that scored it: `values` are then its row's.

    A row of an earlier version does not say what trained it, and neither does the new one.
    """
    now = registry.source(cell.model)
    if "cell" not in values:
        return now
    trained = values.get("source")
    return trained if trained is None or now in (None, *trained.split(",")) else f"{trained},{now}"


def seeded(cell: Cell) -> tuple[Training, ...]:
    """The purposes that the cell's own seed drives."""
    always: tuple[Training, ...] = ("weights", "order", "binarisation", "noise")
    return (*always, "labels") if cell.label_draw == "seed" else always


def checkpoint_key(cell: Cell) -> str:
    """Where a cell's training state lies in the store."""
    return f"checkpoints/{cell.id}.safetensors"


def weights_key(cell: Cell) -> str:
    """Where a cell's final weights lie in the store."""
    return f"weights/{cell.id}.safetensors"


def log_key(cell: str) -> str:
    """Where what a failed cell (its id) said last lies in the store."""
    return f"logs/{cell}.txt"


class _Board:
    """TensorBoard logs: the points of each cell's curve as they come."""

    def __init__(self, store: Store, cells: Iterable[Cell]):
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only on request

        self.writers = [SummaryWriter(str(store.path(f"tensorboard/{cell.id}"))) for cell in cells]
        self.written = -1

    def add(self, curves: list[list[dict[str, Any]]]) -> None:
        """Write the last point of each curve, unless that was done."""
        if not curves[0] or curves[0][-1]["step"] == self.written:
            return
        self.written = curves[0][-1]["step"]
        for writer, curve in zip(self.writers, curves, strict=True):
            for name, value in curve[-1].items():
                if name != "step" and value is not None:
                    writer.add_scalar(name, value, curve[-1]["step"])
            writer.flush()
