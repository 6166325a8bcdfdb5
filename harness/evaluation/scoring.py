"""Computes the scores of a trained cell; a score that fails does not affect the others.

The scores are the registered metrics (`harness.plugins.metric`). Those of plug-ins and optional
ones may fail in any way: the row then lacks their columns and names the error. Scoring may be
stopped at every share of the work that a metric yields. Finished scores, and the tensors that an
unfinished metric keeps, are then reused.
"""

import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.errors import StorageError
from harness.evaluation import accuracy as accuracy
from harness.evaluation import elbo as elbo
from harness.evaluation import image_sampling
from harness.evaluation import samples as samples
from harness.evaluation.checks import InvalidScoreError, NonFiniteError
from harness.evaluation.further_metrics import check_values, describe_values
from harness.evaluation.importance import iwae as iwae
from harness.evaluation.inputs import MetricInputs, SharedInputs
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import Compile
from harness.experiment.own_columns import OWN_COLUMNS
from harness.plugins import registry
from harness.plugins.dataset import Data, registered_datasets
from harness.plugins.metric import Metric, ScoreGenerator, list_metrics
from harness.plugins.model import Model
from harness.plugins.model_state import clone_tensors, load_tensors, restore_buffers
from harness.storage import tensor_file
from harness.storage.layout import scores_key, weights_key
from harness.storage.schema import Status
from harness.storage.store import Store

# importing these modules registers their metrics

ERRORS = image_sampling.COLUMN
Values = dict[str, Any]


@dataclass(frozen=True)
class ScorePart:
    """One score of a cell.

    name: of the score in the progress display and in error messages
    columns: columns that the row must have been scored for and that this part fills
    compute: starts the computation
    metric: what computes it, None in tests
    """

    name: str
    columns: frozenset[str]
    compute: Callable[[], ScoreGenerator]
    metric: Metric | None = None

    @property
    def is_further(self) -> bool:
        """Whether the status of a row does not depend on it."""
        return self.metric is not None and self.metric.is_further

    def check(self, values: Values) -> Values:
        """The values as the row holds them; ValueError for one that the metric cannot give."""
        return values if self.metric is None else check_values(self.metric, values)


@dataclass
class Scores:
    """The scores of a cell so far.

    done: names of the finished parts
    values: their columns
    errors: why other parts failed, by name
    unfinished: tensors that unfinished parts keep
    """

    done: list[str] = field(default_factory=list)
    values: Values = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    unfinished: dict[str, Tensor] = field(default_factory=dict)

    def add(self, values: Values) -> None:
        """Take the values of a part; its standard errors join those of the others."""
        errors = {**self.values.get(ERRORS, {}), **values.get(ERRORS, {})}
        self.values |= values | ({ERRORS: errors} if errors else {})


@dataclass(frozen=True)
class Stage:
    """The progress of scoring a cell.

    name: of the part that is computed
    done, parts: number of finished parts, of all parts
    share: of all work that is done, 0 to 1
    """

    name: str
    done: int
    total: int
    share: float

    def __str__(self) -> str:
        return f"scoring, {self.done + 1} of {self.total}: {self.name}"


class Scorer:
    """Scores cells of one trial and keeps their weights in a store."""

    def __init__(
        self,
        store: Store,
        data: Data,
        evaluation: EvaluationConfig,
        compile_mode: Compile = "auto",
    ):
        self.store, self.data, self.evaluation = store, data, evaluation
        self.shared = SharedInputs(store, data, evaluation, compile_mode)

    def has_weights(self, cell: Cell) -> bool:
        """Whether a cell is trained: it has weights that its row or its model can use.

        A row that is not failed keeps its weights, even if the model's code has changed. Otherwise
        the weights must come from the present code, or fit it.
        """
        if self.store.version(weights_key(cell)) is None:
            return False
        row = self.store.row(cell.id)
        if row is not None and row["status"] != "failed":
            return bool(row["status"] == "ok")
        training_columns = row or self.read_record(cell).get("trained", {})
        return training_columns.get("source") == registry.source_hash(cell.model) or (
            row is not None and self._weights_fit(cell)
        )

    def _weights_fit(self, cell: Cell) -> bool:
        try:
            self.load(cell)
        except ValueError:
            return False
        return True

    def write_weights(self, cell: Cell, model: Model, training_columns: Values) -> None:
        """Write a cell's final weights and buffers, and the row's columns about training."""
        self.store.write(
            scores_key(cell.id),
            tensor_file.dump({"none": torch.empty(0)}, {"trained": training_columns}),
        )
        tensors = dict(model.state_dict()) | dict(model.named_buffers())
        self.store.write(weights_key(cell), tensor_file.dump(tensors, {"cell": cell.id}))

    def load(self, cell: Cell) -> Model:
        """A cell's trained model; ValueError if the stored weights do not fit the model."""
        tensors, _ = tensor_file.parse(self.store.read(weights_key(cell)) or b"")
        model = registry.build(cell).to(self.data.device)
        load_tensors(model, tensors)
        return model.eval()

    def read_record(self, cell: Cell) -> Values:
        """The record of an interrupted scoring: scores, and the row's columns about training.

        Empty if there is none.
        """
        content = self.store.read(scores_key(cell.id))
        return {} if content is None else tensor_file.parse(content)[1]

    def list_parts(self, inputs: MetricInputs) -> list[ScorePart]:
        """One part for each registered metric that applies to the cell, in their order."""
        required, parts = inputs.required_columns, []
        for metric in list_metrics():
            columns = frozenset(name for name in required if metric.describe(name) is not None)
            if columns or not metric.optional:
                parts += self._list_parts_of(metric, columns, inputs)
        return parts

    def _list_parts_of(
        self, metric: Metric, columns: frozenset[str], inputs: MetricInputs
    ) -> list[ScorePart]:
        """The part of a metric; where it does not apply none, or an empty one if a row needs it."""
        compute = functools.partial(metric.score, inputs)
        try:
            label = metric.label(inputs)
            if not metric.fits(inputs):
                nothing = functools.partial(_score_nothing, None)
                return [ScorePart(label, columns, nothing, metric)] if columns else []
        except Exception as error:
            if not metric.is_further:
                raise
            label, compute = metric.name, functools.partial(_score_nothing, error)
        return [ScorePart(label, columns, compute, metric)]

    def list_missing_parts(self, inputs: MetricInputs, known: Mapping[str, Any]) -> list[ScorePart]:
        """The parts whose columns are not in `known`, a row; failed parts are tried again."""
        if known.get("status") != "ok":
            return self.list_parts(inputs)
        evaluated = set((known.get("evaluated") or "").split(","))
        if known.get("subset_checksum") != self.evaluation.subset_checksum:
            evaluated = {name for name in evaluated if not name.startswith("subset_")}
        retry_failed = known.get("error") is not None
        return [
            part
            for part in self.list_parts(inputs)
            if part.columns - evaluated or (retry_failed and not part.columns)
        ]

    def compute(self, model: Model, parts: Sequence[ScorePart], scores: Scores) -> Iterator[Stage]:
        """Compute the parts that are not done and put their results into `scores`.

        The model's buffers are restored before every chunk of work.
        """
        buffers = clone_tensors(dict(model.named_buffers()))
        for number, part in enumerate(parts):
            if part.name in scores.done:
                continue
            yield Stage(part.name, number, len(parts), number / len(parts))
            try:
                values: Values = {}
                for share in _run_part(part, values):
                    restore_buffers(model, buffers)
                    yield Stage(part.name, number, len(parts), (number + share) / len(parts))
                scores.add(part.check(values))
                scores.done.append(part.name)
            except StorageError:
                raise
            except Exception as error:
                scores.errors[part.name] = error
            restore_buffers(model, buffers)


def _run_part(part: ScorePart, values: Values) -> Iterator[float]:
    """Compute a part into `values`, and yield the shares that are done."""
    values |= yield from part.compute()


def _score_nothing(error: Exception | None) -> ScoreGenerator:
    """No column, or the error."""
    yield 1.0
    if error is not None:
        raise error
    return {}


class CellScoring:
    """The scoring of one cell, from its weights to its row; it can be interrupted and resumed.

    model: gives the model of a cell that was just trained and has no row yet; by default the stored
    weights are loaded
    """

    def __init__(self, scorer: Scorer, cell: Cell, model: Callable[[], Model] | None = None):
        self.scorer, self.cell = scorer, cell
        self.model = model or (lambda: scorer.load(cell))
        row = scorer.store.row(cell.id) if model is None else None
        self.known_columns = {
            name: value for name, value in (row or {}).items() if value is not None
        }
        self.scored_before = self.known_columns.get("status") == "ok"
        self.scores = Scores()
        self.parts: list[ScorePart] = []
        self.seconds = 0.0

    def run(self) -> Iterator[Stage]:
        """Compute the missing scores; `error` holds what went wrong."""
        started = time.perf_counter()
        try:
            self._resume()
            model = self.model()
            self.known_columns["parameters"] = sum(
                parameter.numel() for parameter in model.parameters()
            )
            inputs = MetricInputs(self.scorer.shared, self.cell, model, self.scores.unfinished)
            self.parts = self.scorer.list_missing_parts(inputs, self.known_columns)
        except StorageError:
            raise
        except Exception as error:
            self.scores.errors["weights"] = error
            return
        previous_seconds = self.seconds
        for stage in self.scorer.compute(model, self.parts, self.scores):
            yield stage
            self.seconds = previous_seconds + time.perf_counter() - started
        self.seconds = previous_seconds + time.perf_counter() - started

    def save(self) -> None:
        """Write the finished scores to the store, so that another process can continue."""
        scores = {"done": self.scores.done, "values": self.scores.values, "seconds": self.seconds}
        tensors = self.scores.unfinished or {"none": torch.empty(0)}
        record = {"trained": self.training_columns, "of": self._fingerprint()} | scores
        self.scorer.store.write(scores_key(self.cell.id), tensor_file.dump(tensors, record))

    def _resume(self) -> None:
        content = self.scorer.store.read(scores_key(self.cell.id))
        tensors, record = ({}, {}) if content is None else tensor_file.parse(content)
        self.training_columns: Values = record.get("trained", {})
        self.known_columns = self.training_columns | self.known_columns
        if record.get("of") == self._fingerprint():
            tensors.pop("none", None)
            self.scores = Scores(record["done"], record["values"], unfinished=tensors)
            self.seconds = record["seconds"]

    def _fingerprint(self) -> Values:
        """What must be the same for saved scores to be used again."""
        evaluation = json.loads(json.dumps(asdict(self.scorer.evaluation)))
        return {
            "evaluation": evaluation,
            "data": self.scorer.data.checksum,
            "source": registry.source_hash(self.cell.model),
        }

    @property
    def error(self) -> Exception | None:
        """The first error, None if there is none."""
        return next(iter(self.scores.errors.values()), None)

    @property
    def status(self) -> Status:
        """The status of the row.

        A row that was "ok" before stays so. A new one has failed or diverged if its first score is
        missing.
        """
        if self.scored_before:
            return "ok"
        deciding = [part.name for part in self.parts if not part.is_further]
        first_part = deciding[0] if deciding else "weights"
        error = self.scores.errors.get("bound", self.scores.errors.get(first_part))
        if error is None:
            return "ok"
        return "diverged" if isinstance(error, NonFiniteError) else "failed"

    def row(self) -> Values:
        """The columns from training and scoring."""
        done = [part for part in self.parts if part.name in self.scores.done]
        evaluated_before = (
            set((self.known_columns.get("evaluated") or "").split(",")) - {""}
            if self.scored_before
            else set()
        )
        values = self.known_columns | self.scores.values | {"error": self._describe_errors()}
        values[ERRORS] = image_sampling.merge_errors(
            self.known_columns.get(ERRORS), self.scores.values.get(ERRORS, {})
        )
        values["evaluated"] = ",".join(
            sorted(frozenset().union(evaluated_before, *(part.columns for part in done)))
        )
        values[OWN_COLUMNS] = describe_values(
            self.known_columns.get(OWN_COLUMNS),
            [part.metric for part in done if part.metric],
            self.scores.values,
        )
        values["score_seconds"] = self.seconds
        values["data_checksum"] = self.scorer.data.checksum
        values["source"] = self._source_hashes()
        values["plugin_sources"] = self._hash_plugins([part.metric for part in done])
        return values

    def _hash_plugins(self, metrics: Iterable[Metric | None]) -> str | None:
        """The checksums of the plug-ins that registered the data set and these metrics, as JSON."""
        known: dict[str, str] = json.loads(self.known_columns.get("plugin_sources") or "{}")
        name = self.cell.dataset
        hashes = {f"data set {name}": registry.source_hash_of(registered_datasets.get(name))}
        hashes |= {f"metric {m.name}": registry.source_hash_of(m) for m in metrics if m is not None}
        known |= {name: sha for name, sha in hashes.items() if sha is not None}
        return json.dumps(known, sort_keys=True) if known else None

    def _describe_errors(self) -> str | None:
        """Which scores failed and why, in one line."""
        errors = self.scores.errors.items()
        messages = {
            name: str(error)
            if isinstance(error, InvalidScoreError)
            else f"{name}: {describe_error(error)}"
            for name, error in errors
        }
        return "; ".join(messages.values()) or None

    def _source_hashes(self) -> str | None:
        """The checksum of the plug-in that trained the cell, None if it was none.

        After a comma follows that of another version that scored it.
        """
        training_source, current_source = (
            self.known_columns.get("source"),
            registry.source_hash(self.cell.model),
        )
        return (
            training_source
            if training_source is None or current_source in (None, *training_source.split(","))
            else f"{training_source},{current_source}"
        )


def describe_error(error: BaseException) -> str:
    """An error in one line: its type and the first line of its message.

    >>> describe_error(RuntimeError("no room"))
    'RuntimeError: no room'
    """
    return f"{type(error).__name__}: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]
