"""Trains a pack: the one training loop.

A pack is cells that share everything but seed, β and learning rate. Their parameters are stacked along a first
dimension, `torch.func.vmap` runs the model's objective over it, and one backward pass serves all (HFTA, Wang et al.,
MLSys 2021, arXiv 2102.02344). Every cell keeps its own order, binarisation and noise, addressed by (seed, purpose,
step), so a cell's training does not depend on the pack that it runs in. A pack of one is the same code.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from harness import registry, seeding
from harness.contract import Batch, Model, Noise, draw_noise
from harness.data import Data, binarise, labelled_indices
from harness.grid import Cell
from harness.score import accuracy

CURVE_POINTS = 200
ACCURACY_EVERY = 10  # curve points
PARTS = ("rec", "kl", "extra")
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps of a parameter that has had a gradient


@dataclass(frozen=True)
class CellState:
    """One cell's training state: tensors by name, the step they stand at, the curve and the seconds so far."""

    tensors: dict[str, Tensor]
    step: int
    seconds: float
    curve: list[dict[str, Any]]


@dataclass(frozen=True)
class Labelled:
    """The labelled images of a cell: grey levels (labels, PIXELS) as bytes, classes (labels,)."""

    grey: Tensor
    classes: Tensor


def key(cell: Cell) -> Cell:
    """What cells of one pack have in common: the cell without its seed, β and learning rate."""
    return replace(cell, seed=0, beta=1.0, learning_rate=1.0)


def labelled(cell: Cell, data: Data, listed: Sequence[int]) -> Labelled:
    """The labelled images of a cell, from its seed, a fixed draw, or the `listed` indices of a file."""
    if cell.label_draw == "none":
        indices = torch.empty(0, dtype=torch.long)
    elif cell.label_draw.startswith("file-"):
        indices = torch.tensor(listed)
    else:
        seed = cell.seed if cell.label_draw == "seed" else int(cell.label_draw.removeprefix("draw-"))
        indices = labelled_indices(data.train_y, cell.labels, seed)
    indices = indices.to(data.train_x.device)
    return Labelled(data.train_x[indices], data.train_y[indices])


class Pack:
    """Cells in training; `advance` takes them on, `state` carries one over an interruption."""

    def __init__(self, cells: Sequence[Cell], data: Data, listed: Sequence[int] = (), state: Sequence[CellState] = ()):
        if len({key(cell) for cell in cells}) != 1:
            raise ValueError("cells of one pack differ in more than seed, β and learning rate")
        self.cells = tuple(cells)
        self.data = data
        self.device = data.train_x.device
        self.labelled = [labelled(cell, data, listed) for cell in cells]
        models = [registry.build(cell).to(self.device) for cell in cells]
        self.model = models[0]
        self.params, self.buffers = stack_module_state(models)
        self.betas = torch.tensor([cell.beta for cell in cells], device=self.device)
        self.optimizer = self._adam()
        self.step = 0
        self.seconds = 0.0
        self.curves: list[list[dict[str, Any]]] = [[] for _ in cells]
        self.diverged_at = torch.full((len(cells),), -1, device=self.device)
        self._orders: dict[int, list[Tensor]] = {}
        self._sums = self._no_sums()
        if state:
            self._resume(state)

    # --- training ----------------------------------------------------------------------------------------------------

    @property
    def iterations(self) -> int:
        """Steps in all."""
        return self.cells[0].iterations

    @property
    def stride(self) -> int:
        """Steps between two points of a curve; checkpoints fall on these."""
        return max(1, -(-self.iterations // CURVE_POINTS))

    @property
    def running(self) -> bool:
        """Whether there are steps left and a cell that has not diverged."""
        return self.step < self.iterations and bool((self.diverged_at < 0).any())

    def advance(self) -> None:
        """Train to the next point of the curve and write it."""
        started = time.perf_counter()
        for _ in range(min(self.stride, self.iterations - self.step)):
            self.one_step()
        self.seconds += time.perf_counter() - started
        self._write_point()

    def one_step(self) -> None:
        """One optimiser step of every cell."""
        batches = [self._batch(index) for index in range(len(self.cells))]
        stacked = Batch(*(torch.stack(part) for part in zip(*batches, strict=True)))
        images = stacked.x.shape[1]
        draws = [self._noise(cell, images) for cell in self.cells]
        noise = {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}
        rec, kl, extra = vmap(self._means)(self.params, self.buffers, stacked, noise)
        losses = rec + self.betas * kl + extra
        gradients = torch.autograd.grad(losses.sum(), list(self.params.values()), allow_unused=True)
        for place, gradient in enumerate(gradients):
            if gradient is not None:  # a supervised cell leaves its decoder untouched
                dense = gradient.contiguous()  # the fused step reads memory in order, whatever the strides say
                for group, slope in zip(self.optimizer.param_groups, dense, strict=True):
                    group["params"][place].grad = slope
        self.optimizer.step()
        self.step += 1
        with torch.no_grad():
            lost = ~losses.isfinite() & (self.diverged_at < 0)
            self.diverged_at = torch.where(lost, self.step, self.diverged_at)
            self._sums = self._sums + torch.stack([rec, kl, extra])

    def _means(
        self, params: dict[str, Tensor], buffers: dict[str, Tensor], batch: Batch, noise: Noise
    ) -> tuple[Tensor, ...]:
        """Mean over the batch of each part of one cell's objective; () each."""
        terms = functional_call(self.model, (params, buffers), (batch, noise))
        return tuple(part.mean() for part in terms)

    def _batch(self, index: int) -> Batch:
        """The images of this step, binarised afresh; a cell without a bound sees labelled ones alone."""
        cell, few = self.cells[index], self.labelled[index]
        generator = seeding.generator(cell.seed, "binarisation", self.step, self.device)
        indices = self._order(index) if cell.has_bound else self._order(index)[:0]
        x = binarise(self.data.train_x[indices], generator)
        return Batch(x, binarise(few.grey, generator), few.classes)

    def _order(self, index: int) -> Tensor:
        """Indices of this step's images: every epoch its own order, its last batch what is left."""
        size, images = self.cells[index].batch_size, len(self.data.train_x)
        epoch, place = divmod(self.step, -(-images // size))
        if epoch not in self._orders:
            self._orders = {epoch: [self._permutation(cell, epoch) for cell in self.cells]}
        return self._orders[epoch][index][place * size : (place + 1) * size]

    def _permutation(self, cell: Cell, epoch: int) -> Tensor:
        generator = seeding.generator(cell.seed, "order", epoch)
        return torch.randperm(len(self.data.train_x), generator=generator).to(self.device)

    def _noise(self, cell: Cell, images: int) -> Noise:
        generator = seeding.generator(cell.seed, "noise", self.step, self.device)
        return draw_noise(self.model, images, generator)

    def _adam(self) -> torch.optim.Adam:
        """One optimiser for all cells, each a group with its own learning rate over its slices of the parameters."""
        rows = zip(*(parameter.detach().unbind() for parameter in self.params.values()), strict=True)
        groups = [{"params": list(row), "lr": cell.learning_rate} for row, cell in zip(rows, self.cells, strict=True)]
        return torch.optim.Adam(groups, fused=True)

    # --- curves ------------------------------------------------------------------------------------------------------

    def _no_sums(self) -> Tensor:
        return torch.zeros(len(PARTS), len(self.cells), device=self.device)

    def _write_point(self) -> None:
        steps = self.step - (self.curves[0][-1]["step"] if self.curves[0] else 0)
        means = (self._sums / steps).T.tolist()
        self._sums = self._no_sums()
        watch = (self.step // self.stride) % ACCURACY_EVERY == 0 or self.step == self.iterations
        for index, (cell, (rec, kl, extra)) in enumerate(zip(self.cells, means, strict=True)):
            bound = {"nelbo": rec + kl, "kl": kl, "rec": rec} if cell.has_bound else {}
            watched = accuracy(self.trained(index), self.data) if watch else None
            point = {"step": self.step, **bound, "extra": extra, "accuracy": watched, "seconds": self.share}
            self.curves[index].append(point)

    @property
    def share(self) -> float:
        """Seconds of training so far that fall to each cell."""
        return self.seconds / len(self.cells)

    # --- cells in and out --------------------------------------------------------------------------------------------

    def trained(self, index: int) -> Model:
        """A cell's model with its present weights."""
        model = registry.build(self.cells[index]).to(self.device)
        places = dict(model.named_parameters()) | dict(model.named_buffers())  # a weight that is tied has one place
        with torch.no_grad():
            for name, value in (self.params | self.buffers).items():
                places[name].copy_(value[index])
        return model.eval()

    def state(self, index: int) -> CellState:
        """A cell's training state; `Pack(..., state=[...])` goes on from it."""
        tensors = {f"param.{name}": value[index].detach().clone() for name, value in self.params.items()}
        for name, slice_ in zip(self.params, self.optimizer.param_groups[index]["params"], strict=True):
            for moment, value in self.optimizer.state[slice_].items():
                tensors[f"{moment}.{name}"] = value.detach().clone()
        return CellState(tensors, self.step, self.share, list(self.curves[index]))

    def _resume(self, states: Sequence[CellState]) -> None:
        """Put saved states in place; all of them stand at one step."""
        (self.step,) = {state.step for state in states}
        self.seconds = sum(state.seconds for state in states)
        self.curves = [list(state.curve) for state in states]
        for index, state in enumerate(states):
            for name, slice_ in zip(self.params, self.optimizer.param_groups[index]["params"], strict=True):
                slice_.copy_(state.tensors[f"param.{name}"])
                moments = {m: state.tensors[f"{m}.{name}"] for m in MOMENTS if f"{m}.{name}" in state.tensors}
                self.optimizer.state[slice_] = {m: value.to(self.device) for m, value in moments.items()}
