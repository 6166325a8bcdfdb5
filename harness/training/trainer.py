"""The training loop: trains all cells of a pack at once.

The cells of a pack differ only in seed and in numbers such as β. They are one stacked model
(`objective`) with one fused optimiser step (`adam`), or a step for each cell where their recipe
differs from the default (`optimization`). Each cell has its own order of images,
binarisation and noise, which depend only on (seed, purpose, step). So the training of a cell does
not depend on its pack, and a pack of one cell runs the same code.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.data.validation_split import split_off_validation
from harness.evaluation.classification import test_set_accuracy
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.experiment.recipe import parse_recipe
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, Model, Noise, sees_dequantised
from harness.plugins.model_state import state_names
from harness.training import compilation, objective
from harness.training.batches import BatchStream
from harness.training.data_start import SeededImages, start_model
from harness.training.optimization.cell_optimizers import make_optimizer
from harness.training.optimization.schedules import KLWarmup
from harness.training.optimization.scored_weights import ScoredWeights
from harness.training.pack import cell_state
from harness.training.pack.cell_state import CellState as CellState
from harness.training.pack.cell_state import missing_state as missing_state
from harness.training.pack.learning_curves import CurveSchedule, LearningCurves, Scores
from harness.training.pack.tensors import build_model, stack_tensors, stack_weights
from harness.training.validation import (
    ValidationScorer,
    check_scores,
    find_best_point,
    validation_columns,
)

NO_TF32 = "recipe precision=tf32 is of GPUs; expected float32 or bf16, or a trial on a GPU"
# nats; a larger loss counts as diverged. Predicting 1/2 for each of 784 pixels gives 543 nats
DIVERGENCE_THRESHOLD = 1e9


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
        self.cells, self.device = tuple(cells), data.device
        self.data, listed_indices = split_off_validation(data, cells[0], listed_indices)
        self.step, self.seconds = 0, 0.0
        self.diverged_at = torch.full((len(cells),), -1)
        self.schedule = CurveSchedule(cells[0].iterations)
        models = [self._build_started(cell) for cell in cells]
        self.model = models[0]
        self.validation = (
            ValidationScorer(self.data, sees_dequantised(self.model))
            if cells[0].validation
            else None
        )
        self.batches = BatchStream(self.cells, self.data, listed_indices, self.model)
        self._choose_objective(compiled)
        self._make_tensors(models)
        if states:
            self._resume(states)

    def _build_started(self, cell: Cell) -> Model:
        """The model of a cell as it is before the first step."""
        model = registry.build(cell)
        start_model(model, cell.seed, SeededImages(cell, self.data, sees_dequantised(model)))
        return model.to(self.device)

    def _choose_objective(self, compiled: bool) -> None:
        """Make the objectives of full batches, which may be compiled, and of others."""
        self.backend = "compiled" if compiled else "eager"
        if not self.model.stackable:
            self.backend = "loop"
        precision = parse_recipe(self.cells[0].recipe).precision
        if precision == "tf32" and self.device.type != "cuda":
            raise ValueError(NO_TF32)
        self.eager_objective = self.full_batch_objective = objective.make_objective(
            self.model, precision
        )
        if compiled:
            self.full_batch_objective = compilation.compile_objective(
                self.cells[0].pack_key, len(self.cells), self.device, torch.get_num_threads()
            )

    def _make_tensors(self, models: Sequence[Model]) -> None:
        """Make all that the steps change: the weights, the optimiser, their averages, curves."""
        self.term_weights = stack_weights(self.cells, self.device)
        self.params, self.untrained, has_exact_nll = stack_tensors(
            models, *self._next_batch(), self.full_batch_objective, self.term_weights
        )
        recipes = [parse_recipe(cell.recipe) for cell in self.cells]
        self.optimizer = make_optimizer(self.params, self.cells)
        self.kl_warmup = KLWarmup(recipes, self.device)
        self.scored_weights = ScoredWeights(recipes, self.params, self._changing_state())
        self.learning_curves = LearningCurves(self.cells, has_exact_nll)

    # --- training ---------------------------------------------------------------------------------

    @property
    def iterations(self) -> int:
        """Steps of the whole training."""
        return self.schedule.iterations

    @property
    def running(self) -> bool:
        """Whether there are steps left and a cell that has not diverged."""
        return self.step < self.iterations and bool((self.diverged_at < 0).any())

    @property
    def seconds_per_cell(self) -> float:
        """Seconds of training so far, divided by the number of cells."""
        return self.seconds / len(self.cells)

    def advance(self, max_seconds: float = math.inf) -> None:
        """Train until the next point of the learning curve, and record it.

        After `max_seconds` seconds it returns before that point.
        """
        started, first_step = time.perf_counter(), self.step
        next_point = self.schedule.next_point(first_step)
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
        self.learning_curves.add_losses(parts)
        self.step += 1

    def _next_batch(self) -> tuple[Batch, Noise]:
        return self.batches.draw(self.step)

    def _draw_seeds(self) -> list[int]:
        """The seeds of a step's own draws, for a model that is not stackable."""
        if self.model.stackable:
            return []
        return [seeding.derive(cell.seed, "noise", self.step) for cell in self.cells]

    def _detect_divergence(self, first_step: int) -> None:
        """Record which cells have diverged since step `first_step`, and at which step.

        This waits for the device.
        """
        losses = self.learning_curves.read_losses(self.step - first_step)
        diverged = ~(losses.abs() < DIVERGENCE_THRESHOLD)
        newly_diverged = diverged.any(0) & (self.diverged_at < 0)
        self.diverged_at = torch.where(
            newly_diverged, first_step + 1 + diverged.int().argmax(0), self.diverged_at
        )

    # --- scores while training --------------------------------------------------------------------

    @property
    def curves(self) -> list[list[dict[str, Any]]]:
        """The points of each cell's learning curve so far."""
        return self.learning_curves.points

    def _record_point(self) -> None:
        """Add a point to the curves, and keep the weights of the cells whose point is the best."""
        is_due, indices = self.schedule.scores_due(self.step), range(len(self.cells))
        scores = [self._watch(index) if is_due else {} for index in indices]
        self.learning_curves.add_point(self.step, self.seconds_per_cell, scores)
        if is_due and self.scored_weights.keeps_best:
            for index, cell in enumerate(self.cells):
                check_scores(cell, scores[index])
                if find_best_point(self.curves[index]) is self.curves[index][-1]:
                    self.scored_weights.keep(index, self._present_tensors(index))

    def _watch(self, index: int) -> Scores:
        """The scores of a cell's present weights in its learning curve.

        With validation they are those on the validation images, and the test images are not seen.
        """
        model = build_model(self.cells[index], self._present_tensors(index), self.device)
        if self.validation is None:
            return {"accuracy": test_set_accuracy(model, self.data)}
        return self.validation.score(self.cells[index], model)

    def validation_columns(self, index: int) -> dict[str, Any]:
        """The columns of a trained cell's row about the validation images; empty without them."""
        if self.validation is None:
            return {}
        return validation_columns(self.curves[index], self.scored_weights.keeps_best)

    # --- cells in and out -------------------------------------------------------------------------

    def extract_model(self, index: int) -> Model:
        """The model of a cell with the weights that are scored.

        They are the present ones, or their average, or the best so far, as its recipe says.
        """
        tensors = self._present_tensors(index)
        if self.scored_weights.keeps_best and find_best_point(self.curves[index]):
            tensors |= self.scored_weights.select_best(index)
        return build_model(self.cells[index], tensors, self.device)

    def _present_tensors(self, index: int) -> dict[str, Tensor]:
        """The tensors (...) of a cell after the last step, averaged if its recipe says so."""
        return self.scored_weights.select_present(index, self.params | self.untrained)

    def extract_state(self, index: int) -> CellState:
        """The training state of a cell; `PackTrainer(..., states=[...])` continues from it."""
        tensors = cell_state.copy_contiguous(self._cell_tensors(index))
        tensors |= self.learning_curves.extract_trace(index)
        return CellState(tensors, self.step, self.seconds_per_cell, list(self.curves[index]))

    def _state_tensors(self) -> dict[str, dict[str, Tensor]]:
        """The tensors that training changes, (cells, ...) each, by kind and name."""
        return {"param": self.params, **self.optimizer.state, "state": self._changing_state()}

    def _changing_state(self) -> dict[str, Tensor]:
        """The tensors that a step changes without a gradient, (cells, ...) each."""
        return {name: self.untrained[name] for name in state_names(self.model)}

    def _cell_tensors(self, index: int) -> dict[str, Tensor]:
        """The tensors (...) of a cell that a checkpoint needs, which share their memory."""
        kinds: dict[str, Mapping[str, Tensor]] = {
            kind: {name: value[index] for name, value in by_name.items()}
            for kind, by_name in self._state_tensors().items()
        }
        return cell_state.flatten_kinds(kinds | self.scored_weights.state(index))

    def _resume(self, states: Sequence[CellState]) -> None:
        """Continue from saved states, which are all at the same step."""
        cell_state.check_states(self.model, states)
        (self.step,) = {state.step for state in states}
        self.optimizer.step = self.step
        self.seconds = sum(state.seconds for state in states)
        self.learning_curves.resume(
            [state.curve for state in states],
            [state.tensors.get("trace") for state in states],
            self.device,
        )
        for index, state in enumerate(states):
            for name, value in self._cell_tensors(index).items():
                value.copy_(state.tensors[name])
