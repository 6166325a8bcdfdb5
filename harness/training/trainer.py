"""The training loop: trains all cells of a pack at once.

The cells of a pack differ only in seed and in numbers such as β. They are one stacked model
(`objective`) with one fused optimiser step (`adam`), or a step for each cell where their recipe
differs from the default (`optimization`). Each cell has its own order of images,
binarisation and noise, which depend only on (seed, purpose, step). So the training of a cell does
not depend on its pack, and a pack of one cell runs the same code.
"""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import stack_module_state

from harness.data.validation_split import split_off_validation
from harness.evaluation.classification import test_set_accuracy
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.experiment.recipe import parse_recipe
from harness.plugins import model_state, registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, Model, Noise, sees_dequantised
from harness.storage.schema import infer_estimator
from harness.training import compilation, objective
from harness.training.batches import BatchStream
from harness.training.data_start import SeededImages, start_model
from harness.training.optimization.adam import match_memory_layout
from harness.training.optimization.cell_optimizers import make_optimizer
from harness.training.optimization.schedules import KLWarmup
from harness.training.optimization.scored_weights import ScoredWeights
from harness.training.validation import ValidationScorer, find_best_point

CURVE_POINTS = 200
# the accuracy, which takes all test images, is computed after so many curve points and steps
ACCURACY_EVERY_POINTS = 10
ACCURACY_EVERY_STEPS = 100
# nats; a larger loss counts as diverged. Predicting 1/2 for each of 784 pixels gives 543 nats
DIVERGENCE_THRESHOLD = 1e9


@dataclass(frozen=True)
class CellState:
    """The training state of one cell.

    tensors: by name, see `PackTrainer.extract_state`
    step: steps taken
    seconds: training time so far
    curve: the points of the learning curve so far
    """

    tensors: dict[str, Tensor]
    step: int
    seconds: float
    curve: list[dict[str, Any]]


def make_trainer(
    cells: Sequence[Cell],
    data: Data,
    listed_indices: Sequence[int] = (),
    states: Sequence[CellState] = (),
    mode: Compile = "never",
) -> "PackTrainer":
    """A trainer, compiled if `compilation.compiles` says so.

    listed_indices: the labelled images of a file, for cells that use one
    states: saved states to continue from, one for each cell or none

    If compiling fails with mode "auto", the pack is trained without.
    """
    if not compilation.compiles(cells[0], mode, data.device):
        return PackTrainer(cells, data, listed_indices, states)
    try:
        return PackTrainer(cells, data, listed_indices, states, compiled=True)
    except Exception as error:
        if mode == "always":
            raise
        pack = PackTrainer(cells, data, listed_indices, states)
        pack.backend = f"eager ({type(error).__name__} on compiling)"
        return pack


class PackTrainer:
    """Cells in training: `advance` trains them, `extract_state` saves one of them."""

    def __init__(
        self,
        cells: Sequence[Cell],
        data: Data,
        listed_indices: Sequence[int] = (),
        states: Sequence[CellState] = (),
        compiled: bool = False,
    ):
        if len({cell.pack_key for cell in cells}) != 1:
            raise ValueError("cells of one pack differ in more than `Cell.pack_key` allows")
        self.cells = tuple(cells)
        self.data, listed_indices = split_off_validation(data, cells[0], listed_indices)
        self.backend = "compiled" if compiled else "eager"
        self.device = data.device
        self.term_weights = self._stack_weights()
        self.step = 0
        self.seconds = 0.0
        self.curves: list[list[dict[str, Any]]] = [[] for _ in cells]
        self.diverged_at = torch.full((len(cells),), -1)
        models = [self._build_started(cell) for cell in cells]
        self.model = models[0]
        self.validation = (
            ValidationScorer(self.data, sees_dequantised(self.model))
            if cells[0].validation
            else None
        )
        if not self.model.stackable:
            self.backend = "loop"
        self.batches = BatchStream(self.cells, self.data, listed_indices, self.model)
        self.eager_objective = self.full_batch_objective = objective.make_objective(self.model)
        if compiled:
            self.full_batch_objective = compilation.compile_objective(
                cells[0].pack_key, len(cells), self.device, torch.get_num_threads()
            )
        self.params, self.untrained = self._split_tensors(models)
        recipes = [parse_recipe(cell.recipe) for cell in cells]
        self.optimizer = make_optimizer(self.params, cells)
        self.kl_warmup = KLWarmup(recipes, self.device)
        self.scored_weights = ScoredWeights(recipes, self.params, self._changing_state())
        # the `LossParts` of each step since the last point: (4, cells)
        self._recent_losses: list[Tensor] = []
        if states:
            self._resume(states)

    def _build_started(self, cell: Cell) -> Model:
        """The model of a cell as it is before the first step."""
        model = registry.build(cell)
        start_model(model, cell.seed, SeededImages(cell, self.data, sees_dequantised(model)))
        return model.to(self.device)

    def _stack_weights(self) -> dict[str, Tensor]:
        """The weights of terms that a grid sets, (cells,) each: β and those of further terms."""
        weights = [{"kl": cell.beta, **dict(cell.term_weights)} for cell in self.cells]
        return {
            name: torch.tensor([by_name[name] for by_name in weights], device=self.device)
            for name in weights[0]
        }

    def _split_tensors(
        self, models: Sequence[Model]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The trained tensors, in the memory layout of their gradients, and all others.

        (cells, ...) each.
        """
        params, buffers = stack_module_state(models)
        tensors = {name: value.detach() for name, value in (params | buffers).items()}
        batch, noise = self._next_batch()
        first_cell = (
            Batch(**{name: part[0] for name, part in batch.tensors().items()}),
            {name: draw[0] for name, draw in noise.items()},
        )
        trained_names, self.has_exact_nll = objective.trained_parameters(self.model, *first_cell)
        untrained = {name: value for name, value in tensors.items() if name not in trained_names}
        trained = {name: value for name, value in tensors.items() if name in trained_names}
        gradients, _, _ = self.full_batch_objective(
            trained, model_state.clone_tensors(untrained), batch, noise, self.term_weights
        )
        return {
            name: match_memory_layout(trained[name], gradient)
            for name, gradient in gradients.items()
        }, untrained

    # --- training ---------------------------------------------------------------------------------

    @property
    def iterations(self) -> int:
        """Steps of the whole training."""
        return self.cells[0].iterations

    @property
    def stride(self) -> int:
        """Steps between two points of the learning curve."""
        return max(1, -(-self.iterations // CURVE_POINTS))

    @property
    def running(self) -> bool:
        """Whether there are steps left and a cell that has not diverged."""
        return self.step < self.iterations and bool((self.diverged_at < 0).any())

    def advance(self, max_seconds: float = math.inf) -> None:
        """Train until the next point of the learning curve, and record it.

        After `max_seconds` seconds it returns before that point.
        """
        started, first_step = time.perf_counter(), self.step
        next_point = min(self.iterations, (self.step // self.stride + 1) * self.stride)
        self.train_step()
        while self.step < next_point and time.perf_counter() - started < max_seconds:
            self.train_step()
        self._detect_divergence(first_step)
        self.seconds += time.perf_counter() - started
        if self.step == next_point:
            self._record_point()

    def train_step(self) -> None:
        """Take one optimiser step of every cell, without waiting for the device."""
        batch, noise = self._next_batch()
        # the last batch of an epoch may be smaller; only full batches are compiled
        is_full_batch = batch.x.shape[1] in (0, self.cells[0].batch_size)
        objective_function = self.full_batch_objective if is_full_batch else self.eager_objective
        gradients, parts, state = objective_function(
            self.params,
            self.untrained,
            batch,
            noise,
            self.kl_warmup.apply(self.term_weights, self.step),
            self._draw_seeds(),
        )
        self.untrained |= state
        self.optimizer.apply_gradients(gradients)
        self.scored_weights.average_params(self.params, self.step)
        self._recent_losses.append(torch.stack(parts))
        self.step += 1

    def _draw_seeds(self) -> list[int]:
        """The seeds of a step's own draws, for a model that is not stackable."""
        if self.model.stackable:
            return []
        return [seeding.derive(cell.seed, "noise", self.step) for cell in self.cells]

    def _detect_divergence(self, first_step: int) -> None:
        """Record which cells have diverged since step `first_step`, and at which step.

        This waits for the device.
        """
        losses = torch.stack(self._recent_losses[first_step - self.step :])[:, 0].cpu()
        diverged = ~(losses.abs() < DIVERGENCE_THRESHOLD)
        newly_diverged = diverged.any(0) & (self.diverged_at < 0)
        self.diverged_at = torch.where(
            newly_diverged, first_step + 1 + diverged.int().argmax(0), self.diverged_at
        )

    def _next_batch(self) -> tuple[Batch, Noise]:
        return self.batches.draw(self.step)

    # --- curves -----------------------------------------------------------------------------------

    def _record_point(self) -> None:
        means = torch.stack(self._recent_losses).mean(0).T.tolist()
        self._recent_losses = []
        accuracy_interval = max(ACCURACY_EVERY_POINTS, -(-ACCURACY_EVERY_STEPS // self.stride))
        is_accuracy_due = (
            self.step // self.stride
        ) % accuracy_interval == 0 or self.step == self.iterations
        for index, (cell, (loss, rec, kl, extra)) in enumerate(zip(self.cells, means, strict=True)):
            watched_scores = self._watch(index) if is_accuracy_due else {}
            likelihood = self._likelihood_columns(rec, kl) if cell.has_bound else {}
            point = {
                "step": self.step,
                **likelihood,
                "extra": extra,
                "accuracy": None,
                "seconds": self.seconds_per_cell,
                "loss": loss,
                **watched_scores,
            }
            self.curves[index].append({name: _nan_to_none(value) for name, value in point.items()})
            if is_accuracy_due and self.scored_weights.keeps_best:
                self._keep_if_best(index, watched_scores)

    def _watch(self, index: int) -> dict[str, float | None]:
        """The scores of a cell's present weights in its learning curve.

        With validation they are those on the validation images, and the test images are not seen.
        """
        model = self._make_model(index, self._present_tensors(index))
        if self.validation is None:
            return {"accuracy": test_set_accuracy(model, self.data)}
        return self.validation.score(self.cells[index], model)

    def _keep_if_best(self, index: int, scores: Mapping[str, float | None]) -> None:
        """Keep the present weights of a cell if the last point of its curve is the best.

        scores: those of the last point; ValueError if the model has none
        """
        if not scores:
            raise ValueError(
                f"model '{self.cells[index].model}' has neither a bound nor classes on validation "
                "images; expected one of them with keep: best"
            )
        curve = self.curves[index]
        if find_best_point(curve) is curve[-1]:
            self.scored_weights.keep(index, self._present_tensors(index))

    def validation_columns(self, index: int) -> dict[str, Any]:
        """The columns of a trained cell's row about the validation images; empty without them."""
        if self.validation is None:
            return {}
        point: Mapping[str, Any] = self.curves[index][-1]
        if self.scored_weights.keeps_best:
            point = find_best_point(self.curves[index]) or {}
        columns = {name: point.get(name) for name in ("validation_nelbo", "validation_accuracy")}
        return columns | {
            "best_step": point.get("step") if self.scored_weights.keeps_best else None
        }

    def _likelihood_columns(self, rec: float, kl: float) -> dict[str, float]:
        """The columns of a curve point about log p(x), from the means `rec` and `kl`.

        They are nelbo for a bound or nll for an exact value, and the parts.
        """
        if self.has_exact_nll:
            return {"nll": rec}
        columns = {"elbo": {"nelbo": rec + kl}, "exact": {"nll": rec}, "none": {}}[
            infer_estimator(_nan_to_none(rec), _nan_to_none(kl))
        ]
        return columns | {"kl": kl, "rec": rec}

    @property
    def seconds_per_cell(self) -> float:
        """Seconds of training so far, divided by the number of cells."""
        return self.seconds / len(self.cells)

    # --- cells in and out -------------------------------------------------------------------------

    def extract_model(self, index: int) -> Model:
        """The model of a cell with the weights that are scored.

        They are the present ones, or their average, or the best so far, as its recipe says.
        """
        tensors = self._present_tensors(index)
        if self.scored_weights.keeps_best and find_best_point(self.curves[index]):
            tensors |= self.scored_weights.select_best(index)
        return self._make_model(index, tensors)

    def _present_tensors(self, index: int) -> dict[str, Tensor]:
        """The tensors (...) of a cell after the last step, averaged if its recipe says so."""
        return self.scored_weights.select_present(index, self.params | self.untrained)

    def _make_model(self, index: int, tensors: Mapping[str, Tensor]) -> Model:
        """The model of a cell with tensors (...) by name."""
        model = registry.build(self.cells[index]).to(self.device)
        # a tied weight appears once in these
        model_tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        with torch.no_grad():
            for name, value in tensors.items():
                model_tensors[name].copy_(value)
        return model.eval()

    def extract_state(self, index: int) -> CellState:
        """The training state of a cell; `PackTrainer(..., states=[...])` continues from it."""
        tensors = {
            name: value.clone(memory_format=torch.contiguous_format)
            for name, value in self._cell_tensors(index).items()
        }
        if self._recent_losses:
            tensors["trace"] = torch.stack(self._recent_losses)[..., index].contiguous()
        return CellState(tensors, self.step, self.seconds_per_cell, list(self.curves[index]))

    def _state_tensors(self) -> dict[str, dict[str, Tensor]]:
        """The tensors that training changes, (cells, ...) each, by kind and name."""
        return {"param": self.params, **self.optimizer.state, "state": self._changing_state()}

    def _changing_state(self) -> dict[str, Tensor]:
        """The tensors that a step changes without a gradient, (cells, ...) each."""
        return {name: self.untrained[name] for name in model_state.state_names(self.model)}

    def _cell_tensors(self, index: int) -> dict[str, Tensor]:
        """The tensors (...) of a cell that a checkpoint needs."""
        kinds = {
            kind: {name: value[index] for name, value in by_name.items()}
            for kind, by_name in self._state_tensors().items()
        }
        return {
            f"{kind}.{name}": value
            for kind, by_name in (kinds | self.scored_weights.state(index)).items()
            for name, value in by_name.items()
        }

    def _resume(self, states: Sequence[CellState]) -> None:
        """Continue from saved states, which are all at the same step."""
        for state in states:
            if missing := missing_state(self.model, state.tensors):
                raise ValueError(
                    f"a checkpoint holds no {missing}; delete it to train its cell from the start"
                )
        (self.step,) = {state.step for state in states}
        self.optimizer.step = self.step
        self.seconds = sum(state.seconds for state in states)
        self.curves = [list(state.curve) for state in states]
        if all("trace" in state.tensors for state in states):
            self._recent_losses = list(
                torch.stack([state.tensors["trace"] for state in states], -1).to(self.device)
            )
        for index, state in enumerate(states):
            for name, value in self._cell_tensors(index).items():
                value.copy_(state.tensors[name])


def missing_state(model: Model, tensors: Collection[str]) -> str:
    """The names of a model's state tensors that are not in a checkpoint, comma-separated.

    A checkpoint of an older version may lack some.
    """
    return ", ".join(
        name for name in model_state.state_names(model) if f"state.{name}" not in tensors
    )


def _nan_to_none(value: Any) -> Any:
    """None for nan, which means a part that the model does not have."""
    return None if value != value else value
