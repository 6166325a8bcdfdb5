"""Trains a pack: the one training loop.

A pack is cells that share everything but seed, β and learning rate: one stacked model (`objective`)
and one fused optimiser step (`adam`) for all of them. Every cell keeps its own order, binarisation
and noise, addressed by (seed, purpose, step), so a cell's training does not depend on the pack that
it runs in. A pack of one is the same code.
"""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import stack_module_state

from harness.data.binarization import binarised
from harness.data.labelled_subset import Labelled, labelled
from harness.evaluation.accuracy import accuracy
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.plugins import model_state, registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, Model, Noise, draw_noise
from harness.storage.schema import estimator
from harness.training import compilation, objective
from harness.training.adam import Adam, laid_out

CURVE_POINTS = 200
ACCURACY_EVERY = 10  # curve points, and
ACCURACY_STEPS = 100  # steps, at least: all test images are looked at
# nats; a loss beyond it has diverged, finite or not: guessing all 784 pixels at even odds costs 543
BLOWN_UP = 1e9


@dataclass(frozen=True)
class CellState:
    """One cell's training state: tensors by name, the step they stand at, the curve and the seconds
    so far.
    """

    tensors: dict[str, Tensor]
    step: int
    seconds: float
    curve: list[dict[str, Any]]


def prepared(
    cells: Sequence[Cell],
    data: Data,
    listed: Sequence[int] = (),
    state: Sequence[CellState] = (),
    mode: Compile = "never",
) -> "Pack":
    """A pack, compiled if that is wanted; by "auto", a machine or a model that fails to compile
    trains all the same.
    """
    if not compilation.wanted(mode, cells[0].iterations, data.train_x.device):
        return Pack(cells, data, listed, state)
    try:
        return Pack(cells, data, listed, state, compiled=True)
    except Exception as error:
        if mode == "always":
            raise
        pack = Pack(cells, data, listed, state)
        pack.how = f"eager ({type(error).__name__} on compiling)"
        return pack


class Pack:
    """Cells in training; `advance` takes them on, `state` carries one over an interruption."""

    def __init__(
        self,
        cells: Sequence[Cell],
        data: Data,
        listed: Sequence[int] = (),
        state: Sequence[CellState] = (),
        compiled: bool = False,
    ):
        if len({cell.pack_key for cell in cells}) != 1:
            raise ValueError("cells of one pack differ in more than seed, β and learning rate")
        self.cells = tuple(cells)
        self.data = data
        self.how = "compiled" if compiled else "eager"
        self.device = data.train_x.device
        few = [labelled(cell, data, listed) for cell in cells]
        self.labelled = Labelled(
            torch.stack([one.grey for one in few]), torch.stack([one.classes for one in few])
        )
        self.betas = torch.tensor([cell.beta for cell in cells], device=self.device)
        self.step = 0
        self.seconds = 0.0
        self.curves: list[list[dict[str, Any]]] = [[] for _ in cells]
        self.diverged_at = torch.full((len(cells),), -1)
        self._orders: dict[int, Tensor] = {}
        models = [registry.build(cell).to(self.device) for cell in cells]
        self.model = models[0]
        self.eager = self.whole_batch = objective.eager(self.model)
        if compiled:
            self.whole_batch = compilation.compiled(
                cells[0].pack_key, len(cells), self.device, torch.get_num_threads()
            )
        self.params, self.other = self._stacked(models)
        self.adam = Adam(self.params, [cell.learning_rate for cell in cells])
        # what `Parts` holds, of each step since the last point: (4, cells)
        self._trace: list[Tensor] = []
        if state:
            self._resume(state)

    def _stacked(self, models: Sequence[Model]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The tensors that are trained, in memory as their slopes come, and all others; (cells,
        ...) each.
        """
        params, buffers = stack_module_state(models)
        tensors = {name: value.detach() for name, value in (params | buffers).items()}
        batch, noise = self._draws()
        first = Batch(*(part[0] for part in batch)), {name: draw[0] for name, draw in noise.items()}
        used, self.exact = objective.used(self.model, *first)
        other = {name: value for name, value in tensors.items() if name not in used}
        trained = {name: value for name, value in tensors.items() if name in used}
        slopes, _, _ = self.whole_batch(
            trained, model_state.copied(other), batch, noise, self.betas
        )
        return {name: laid_out(trained[name], slope) for name, slope in slopes.items()}, other

    # --- training ---------------------------------------------------------------------------------

    @property
    def iterations(self) -> int:
        """Steps in all."""
        return self.cells[0].iterations

    @property
    def stride(self) -> int:
        """Steps between two points of a curve."""
        return max(1, -(-self.iterations // CURVE_POINTS))

    @property
    def running(self) -> bool:
        """Whether there are steps left and a cell that has not diverged."""
        return self.step < self.iterations and bool((self.diverged_at < 0).any())

    def advance(self, most: float = math.inf) -> None:
        """Train to the next point of the curve and write it, or stop short of it after `most`
        seconds.
        """
        started, before = time.perf_counter(), self.step
        point = min(self.iterations, (self.step // self.stride + 1) * self.stride)
        self.one_step()
        while self.step < point and time.perf_counter() - started < most:
            self.one_step()
        self._look_for_divergence(before)
        self.seconds += time.perf_counter() - started
        if self.step == point:
            self._write_point()

    def one_step(self) -> None:
        """One optimiser step of every cell; nothing here waits for the device."""
        batch, noise = self._draws()
        # the last batch of an epoch is smaller
        whole = batch.x.shape[1] in (0, self.cells[0].batch_size)
        step = self.whole_batch if whole else self.eager
        slopes, parts, state = step(self.params, self.other, batch, noise, self.betas)
        self.other |= state
        self.adam.descend(slopes)
        self._trace.append(torch.stack(parts))
        self.step += 1

    def _look_for_divergence(self, before: int) -> None:
        """Which cells diverged since step `before`, and when; this waits for the device."""
        losses = torch.stack(self._trace[before - self.step :])[:, 0].cpu()
        lost = ~(losses.abs() < BLOWN_UP)
        now = lost.any(0) & (self.diverged_at < 0)
        self.diverged_at = torch.where(now, before + 1 + lost.int().argmax(0), self.diverged_at)

    def _draws(self) -> tuple[Batch, Noise]:
        """What all cells meet in this step, binarised afresh; (cells, ...) each."""
        generators = [
            seeding.generator(cell.seed, "binarisation", self.step, self.device)
            for cell in self.cells
        ]
        order = self._order()
        # in a seventh of the time of train_x[order]
        grey = self.data.train_x.index_select(0, order.flatten())
        x = binarised(grey.unflatten(0, order.shape), generators)
        few = binarised(self.labelled.grey, generators)
        noise = [self._noise(cell, x.shape[1]) for cell in self.cells]
        return Batch(x, few, self.labelled.classes), {
            name: _stack([draw[name] for draw in noise]) for name in noise[0]
        }

    def _order(self) -> Tensor:
        """Indices of this step's images, (cells, batch): every epoch its own order, its last batch
        what is left.

        Cells without a bound see labelled images alone.
        """
        size, images = self.cells[0].batch_size, len(self.data.train_x)
        epoch, place = divmod(self.step, -(-images // size))
        if epoch not in self._orders:
            self._orders = {
                epoch: torch.stack([self._permutation(cell, epoch) for cell in self.cells])
            }
        order = self._orders[epoch][:, place * size : (place + 1) * size]
        return order if self.cells[0].has_bound else order[:, :0]

    def _permutation(self, cell: Cell, epoch: int) -> Tensor:
        generator = seeding.generator(cell.seed, "order", epoch)
        return torch.randperm(len(self.data.train_x), generator=generator).to(self.device)

    def _noise(self, cell: Cell, images: int) -> Noise:
        generator = seeding.generator(cell.seed, "noise", self.step, self.device)
        return draw_noise(self.model, images, generator)

    # --- curves -----------------------------------------------------------------------------------

    def _write_point(self) -> None:
        means = torch.stack(self._trace).mean(0).T.tolist()
        self._trace = []
        every = max(ACCURACY_EVERY, -(-ACCURACY_STEPS // self.stride))
        watch = (self.step // self.stride) % every == 0 or self.step == self.iterations
        for index, (cell, (loss, rec, kl, extra)) in enumerate(zip(self.cells, means, strict=True)):
            watched = accuracy(self.trained(index), self.data) if watch else None
            bound = self._bound(rec, kl) if cell.has_bound else {}
            point = {
                "step": self.step,
                **bound,
                "extra": extra,
                "accuracy": watched,
                "seconds": self.share,
            }
            self.curves[index].append(
                {name: _known(value) for name, value in (point | {"loss": loss}).items()}
            )

    def _bound(self, rec: float, kl: float) -> dict[str, float]:
        """What the means of a point say about log p(x): a bound, an exact value, or nothing; and
        the parts.
        """
        if self.exact:
            return {"nll": rec}
        found = {"elbo": {"nelbo": rec + kl}, "exact": {"nll": rec}, "none": {}}[
            estimator(_known(rec), _known(kl))
        ]
        return found | {"kl": kl, "rec": rec}

    @property
    def share(self) -> float:
        """Seconds of training so far that fall to each cell."""
        return self.seconds / len(self.cells)

    # --- cells in and out -------------------------------------------------------------------------

    def trained(self, index: int) -> Model:
        """A cell's model with its present weights."""
        model = registry.build(self.cells[index]).to(self.device)
        # a weight that is tied has one place
        places = dict(model.named_parameters()) | dict(model.named_buffers())
        with torch.no_grad():
            for name, value in (self.params | self.other).items():
                places[name].copy_(value[index])
        return model.eval()

    def state(self, index: int) -> CellState:
        """A cell's training state; `Pack(..., state=[...])` goes on from it."""
        tensors = {
            f"{kind}.{name}": value[index].clone(memory_format=torch.contiguous_format)
            for kind, of in self._kinds().items()
            for name, value in of.items()
        }
        if self._trace:
            tensors["trace"] = torch.stack(self._trace)[..., index].contiguous()
        return CellState(tensors, self.step, self.share, list(self.curves[index]))

    def _kinds(self) -> dict[str, dict[str, Tensor]]:
        """What changes in training, (cells, ...) each, by kind and name."""
        state = {name: self.other[name] for name in model_state.state_names(self.model)}
        return {
            "param": self.params,
            "exp_avg": self.adam.first,
            "exp_avg_sq": self.adam.second,
            "state": state,
        }

    def _resume(self, states: Sequence[CellState]) -> None:
        """Put saved states in place; all of them stand at one step."""
        for state in states:
            if lacking := lacking_state(self.model, state.tensors):
                raise ValueError(
                    f"a checkpoint holds no {lacking}; delete it to train its cell from the start"
                )
        (self.step,) = {state.step for state in states}
        self.adam.step = self.step
        self.seconds = sum(state.seconds for state in states)
        self.curves = [list(state.curve) for state in states]
        if all("trace" in state.tensors for state in states):
            self._trace = list(
                torch.stack([state.tensors["trace"] for state in states], -1).to(self.device)
            )
        for index, state in enumerate(states):
            for kind, of in self._kinds().items():
                for name, value in of.items():
                    value[index].copy_(state.tensors[f"{kind}.{name}"])


def lacking_state(model: Model, tensors: Collection[str]) -> str:
    """The names of a model's changing tensors that a checkpoint does not hold: one of an older
    version, say.
    """
    return ", ".join(
        name for name in model_state.state_names(model) if f"state.{name}" not in tensors
    )


def _known(value: Any) -> Any:
    """None for what is not a number: a part that the model does not have."""
    return None if value != value else value


def _stack(parts: Sequence[Tensor]) -> Tensor:
    """Tensors of the cells as one, (cells, ...); the only one of a single cell is not copied."""
    return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(list(parts))
