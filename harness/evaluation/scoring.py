"""Scores of a trained cell, one after another: each is kept as it comes, and one that fails costs
no other.

A part is a generator that yields the share of its work that is done, 0 to 1, and returns columns of
the row. Whoever drives it may stop between two of them; what is finished, and the draws of an
unfinished IWAE bound, can be taken up.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from harness.data.binarization import scaled
from harness.errors import StorageFailure
from harness.evaluation import (
    accuracy,
    digit_classifier,
    elbo,
    image_grid,
    iwae,
    samples,
    scored_images,
)
from harness.evaluation.checks import BadScore, NotFinite
from harness.evaluation.digit_classifier import Judge
from harness.evaluation.image_grid import COLUMNS, ROWS
from harness.experiment.cell import Cell
from harness.experiment.evaluation import Evaluation
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Classifier, ImportanceWeighted, Model
from harness.plugins.model_state import copied, restore
from harness.storage import tensor_file
from harness.storage.layout import scores_key, weights_key
from harness.storage.schema import Status
from harness.storage.store import Store

Values = dict[str, Any]
Work = Generator[float, None, Values]


@dataclass(frozen=True)
class Part:
    """One score: its name, the columns that it is asked for by, and what computes it from the
    tensors kept before.
    """

    name: str
    asked: frozenset[str]
    work: Callable[[dict[str, Tensor]], Work]


@dataclass
class Scores:
    """What is known of a cell so far: parts that are done, their values, why others failed, and
    unfinished tensors.
    """

    done: list[str] = field(default_factory=list)
    values: Values = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """How far the scoring of a cell is: the part at work, parts done of all, and the share of all
    that is done.
    """

    name: str
    done: int
    of: int
    share: float

    def __str__(self) -> str:
        return f"scoring, {self.done + 1} of {self.of}: {self.name}"


class Scorer:
    """What the scoring of many cells has in common: the data set, its test images binarised once,
    its judge.
    """

    def __init__(self, store: Store, data: Data, evaluation: Evaluation):
        self.store, self.data, self.evaluation = store, data, evaluation

    def has_weights(self, cell: Cell) -> bool:
        """Whether a cell's training is over: its weights are there, and its row or its model still
        wants them.

        A good row keeps its weights whatever became of the model's text; else they must be of this
        text, or fit it.
        """
        if self.store.stamp(weights_key(cell)) is None:
            return False
        row = self.store.row(cell.id)
        if row is not None and row["status"] != "failed":
            return bool(row["status"] == "ok")
        trained = row or self.kept(cell).get("trained", {})
        return trained.get("source") == registry.source(cell.model) or (
            row is not None and self._fits(cell)
        )

    def _fits(self, cell: Cell) -> bool:
        try:
            self.load(cell)
        except ValueError:
            return False
        return True

    def write_weights(self, cell: Cell, model: Model, trained: Values) -> None:
        """Keep a cell's final weights and buffers, and what its row will say of the training."""
        self.store.write(
            scores_key(cell.id), tensor_file.dump({"none": torch.empty(0)}, {"trained": trained})
        )
        tensors = dict(model.state_dict()) | dict(model.named_buffers())
        self.store.write(weights_key(cell), tensor_file.dump(tensors, {"cell": cell.id}))

    def load(self, cell: Cell) -> Model:
        """A cell's trained model; ValueError where the weights do not fit it."""
        tensors, _ = tensor_file.parse(self.store.read(weights_key(cell)) or b"")
        model = registry.build(cell).to(self.data.test_x.device)
        kept = model.state_dict()
        try:
            model.load_state_dict({name: value for name, value in tensors.items() if name in kept})
            restore(model, {name: value for name, value in tensors.items() if name not in kept})
        except (RuntimeError, KeyError) as error:
            raise ValueError(
                f"the weights do not fit the model as it is now: {first_line(error)}"
            ) from error
        return model.eval()

    def kept(self, cell: Cell) -> Values:
        """The record of scores that an interrupted scoring kept, and what the row will say of the
        training.
        """
        content = self.store.read(scores_key(cell.id))
        return {} if content is None else tensor_file.parse(content)[1]

    @cached_property
    def images(self) -> Tensor:
        """The test images, binarised once for all cells: (n, PIXELS)."""
        return scored_images.test_images(self.data)

    @cached_property
    def judge(self) -> Judge:
        """The classifier that counts digits among samples."""
        return digit_classifier.load(self.store, self.data)

    def parts(self, cell: Cell, model: Model) -> list[Part]:
        """All scores of a cell, the most wanted first."""
        asked = self.evaluation.asked(cell)
        found = []
        if isinstance(model, Classifier):
            found.append(
                Part("accuracy", asked & {"accuracy"}, lambda _: self._accuracy(cell, model))
            )
        if not cell.has_bound:
            return found
        samples = f"{self.evaluation.samples:,} samples"
        found += [
            Part("bound", frozenset({"nelbo"}), lambda _: elbo.bound(model, self.images)),
            Part(samples, frozenset(), lambda _: self._samples(cell, model)),
            Part("pictures", frozenset(), lambda _: self._pictures(cell, model)),
        ]
        if "test" in self.evaluation.iwae_on and self.evaluation.iwae:
            found.append(self._iwae(model, "", lambda: self.images))
        if self.evaluation.covers(cell):
            found += self._subset(model)
        return found

    def missing(self, cell: Cell, model: Model, known: Mapping[str, Any]) -> list[Part]:
        """The parts that a row, or nothing known, does not hold yet; what failed before is tried
        again.
        """
        if known.get("status") != "ok":
            return self.parts(cell, model)
        evaluated = set((known.get("evaluated") or "").split(","))
        if known.get("subset_checksum") != self.evaluation.subset_checksum:
            evaluated = {name for name in evaluated if not name.startswith("subset_")}
        again = known.get("error") is not None
        return [
            part
            for part in self.parts(cell, model)
            if part.asked - evaluated or (again and not part.asked)
        ]

    def work(self, model: Model, parts: Sequence[Part], scores: Scores) -> Iterator[Stage]:
        """Compute what is not done yet into `scores`; the model meets every draw with its buffers
        as they were.
        """
        buffers = copied(dict(model.named_buffers()))
        for number, part in enumerate(parts):
            if part.name in scores.done:
                continue
            yield Stage(part.name, number, len(parts), number / len(parts))
            try:
                work = part.work(scores.tensors)
                while True:
                    share = next(work)
                    restore(model, buffers)
                    yield Stage(part.name, number, len(parts), (number + share) / len(parts))
            except StopIteration as end:
                scores.values |= end.value
                scores.done.append(part.name)
            except StorageFailure:
                raise
            except Exception as error:
                scores.failed[part.name] = error
            restore(model, buffers)

    def _accuracy(self, cell: Cell, model: Classifier) -> Work:
        predicted = accuracy.classes(model, scaled(self.data.test_x))
        self.store.write_classes(f"predictions/{cell.id}.npy", predicted.cpu().numpy())
        yield 1.0
        return {"accuracy": float((predicted == self.data.test_y).sum()) / len(predicted)}

    def _samples(self, cell: Cell, model: Model) -> Work:
        images = yield from samples.samples(model, self.evaluation.samples, self.data.test_x.device)
        sheet = images[: ROWS * COLUMNS]
        self.store.write(f"samples/{cell.id}.png", image_grid.gallery(sheet))
        return {
            "digit_counts": self.judge.counts(images),
            "digit_counts_200": self.judge.counts(sheet),
            "judge_accuracy": self.judge.accuracy,
            "judge_accuracy_binary": self.judge.accuracy_binary,
        }

    def _pictures(self, cell: Cell, model: Model) -> Work:
        sheets = {"reconstructions": samples.reconstructions(model, self.images, ROWS, COLUMNS)}
        yield 0.5
        sheets["traversals"] = samples.traversals(model, ROWS, COLUMNS, self.data.test_x.device)
        for kind, sheet in sheets.items():
            if sheet is not None:
                self.store.write(f"{kind}/{cell.id}.png", image_grid.gallery(sheet))
        return {}

    def _iwae(self, model: Model, prefix: str, images: Callable[[], Tensor]) -> Part:
        draws = self.evaluation.iwae
        name = f"{prefix}iwae {', '.join(map(str, draws))}"

        def work(kept: dict[str, Tensor]) -> Work:
            if not isinstance(model, ImportanceWeighted):
                return {}
            found = yield from iwae.iwae(model, images(), draws, kept, name)
            return {f"{prefix}{column}": value for column, value in found.items()}

        return Part(name, frozenset(f"{prefix}iwae_{k}" for k in draws), work)

    def _subset(self, model: Model) -> list[Part]:
        """The scores over the listed images."""
        indices, checksum = self.evaluation.subset, self.evaluation.subset_checksum
        images = scored_images.subset_images(self.data, indices)

        def bound(_: dict[str, Tensor]) -> Work:
            found = yield from elbo.subset_bound(model, images)
            return {f"subset_{name}": value for name, value in found.items()} | {
                "subset_checksum": checksum
            }

        parts = [Part("subset bound", frozenset({"subset_nelbo"}), bound)]
        if "subset" in self.evaluation.iwae_on and self.evaluation.iwae:
            parts.append(self._iwae(model, "subset_", lambda: images))
        return parts


class Scoring:
    """The scoring of one cell, from its weights to its row; it can be taken up where it was kept.

    `model` gives a model that was trained just now, of which no older row tells; else its stored
    weights are loaded.
    """

    def __init__(self, scorer: Scorer, cell: Cell, model: Callable[[], Model] | None = None):
        self.scorer, self.cell = scorer, cell
        self.model = model or (lambda: scorer.load(cell))
        row = scorer.store.row(cell.id) if model is None else None
        self.known = {name: value for name, value in (row or {}).items() if value is not None}
        self.scored_before = self.known.get("status") == "ok"
        self.scores = Scores()
        self.parts: list[Part] = []
        self.seconds = 0.0

    def work(self) -> Iterator[Stage]:
        """Compute the scores that are missing; what goes wrong is in `error`."""
        started = time.perf_counter()
        try:
            self._take_up()
            model = self.model()
            self.known["parameters"] = sum(parameter.numel() for parameter in model.parameters())
            self.parts = self.scorer.missing(self.cell, model, self.known)
        except StorageFailure:
            raise
        except Exception as error:
            self.scores.failed["weights"] = error
            return
        before = self.seconds
        for stage in self.scorer.work(model, self.parts, self.scores):
            yield stage
            self.seconds = before + time.perf_counter() - started
        self.seconds = before + time.perf_counter() - started

    def keep(self) -> None:
        """Put what is done into the store, for whoever takes it up."""
        scores = {"done": self.scores.done, "values": self.scores.values, "seconds": self.seconds}
        tensors = self.scores.tensors or {"none": torch.empty(0)}
        record = {"trained": self.trained, "of": self._of()} | scores
        self.scorer.store.write(scores_key(self.cell.id), tensor_file.dump(tensors, record))

    def _take_up(self) -> None:
        content = self.scorer.store.read(scores_key(self.cell.id))
        tensors, record = ({}, {}) if content is None else tensor_file.parse(content)
        self.trained: Values = record.get("trained", {})
        self.known = self.trained | self.known
        if record.get("of") == self._of():
            tensors.pop("none", None)
            self.scores = Scores(record["done"], record["values"], tensors=tensors)
            self.seconds = record["seconds"]

    def _of(self) -> Values:
        """What kept scores must be of, to be taken up."""
        evaluation = json.loads(json.dumps(asdict(self.scorer.evaluation)))
        return {
            "evaluation": evaluation,
            "data": self.scorer.data.checksum,
            "source": registry.source(self.cell.model),
        }

    @property
    def error(self) -> Exception | None:
        """The first thing that went wrong."""
        return next(iter(self.scores.failed.values()), None)

    @property
    def status(self) -> Status:
        """That of the row: a finished one stays, and without its first score a new one has failed
        or diverged.
        """
        if self.scored_before:
            return "ok"
        first = self.parts[0].name if self.parts else "weights"
        error = self.scores.failed.get("bound", self.scores.failed.get(first))
        if error is None:
            return "ok"
        return "diverged" if isinstance(error, NotFinite) else "failed"

    def row(self) -> Values:
        """The columns that training and scoring fill."""
        done = [part for part in self.parts if part.name in self.scores.done]
        before = (
            set((self.known.get("evaluated") or "").split(",")) - {""}
            if self.scored_before
            else set()
        )
        values = self.known | self.scores.values | {"error": self._said()}
        values["evaluated"] = ",".join(
            sorted(frozenset().union(before, *(part.asked for part in done)))
        )
        values["score_seconds"] = self.seconds
        values["data_checksum"] = self.scorer.data.checksum
        values["source"] = self._source()
        return values

    def _said(self) -> str | None:
        """What could not be scored and why, in a line."""
        failed = self.scores.failed.items()
        told = {
            name: str(error) if isinstance(error, BadScore) else f"{name}: {reason(error)}"
            for name, error in failed
        }
        return "; ".join(told.values()) or None

    def _source(self) -> str | None:
        """The plug-in that trained the cell and, after a comma, another that scored it; None where
        none is known.
        """
        trained, now = self.known.get("source"), registry.source(self.cell.model)
        return (
            trained if trained is None or now in (None, *trained.split(",")) else f"{trained},{now}"
        )


def reason(error: BaseException) -> str:
    """An error in a line: its kind and the first line of what it says.

    >>> reason(RuntimeError("no room"))
    'RuntimeError: no room'
    """
    return f"{type(error).__name__}: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]
