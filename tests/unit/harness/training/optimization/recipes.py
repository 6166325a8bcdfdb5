"""Cells with recipes that use everything, and how they are trained and saved."""

from typing import Any

from harness.experiment.cell import Cell
from harness.experiment.recipe import canonical_recipe
from harness.storage import tensor_file
from harness.training.trainer import CellState, PackTrainer

OPTIMIZERS = ("adam", "adamw", "adamax", "rmsprop", "sgd")
NUMBERS: list[dict[str, Any]] = [
    {"clip": 20.0, "weight_decay": 0.1, "lr_warmup": 2, "beta_warmup": 4, "ema": 0.6},
    {"clip": 5.0, "lr_warmup": 3, "ema": 0.9, "momentum": 0.8},
    {"weight_decay": 0.01, "beta_warmup": 2, "momentum": 0.5},
]
RATES = (1e-3, 3e-4, 2e-3)


def make_cells(model: str, optimizer: str, count: int, iterations: int = 6) -> list[Cell]:
    """Cells of one pack that differ in every number of the recipe."""
    kind = {"optimizer": optimizer, "schedule": "cosine"}
    rate = 0.05 if optimizer == "sgd" else 1.0
    return [
        Cell(
            model,
            seed,
            iterations,
            beta=1.0 + seed,
            learning_rate=rate * RATES[seed],
            recipe=canonical_recipe(kind | NUMBERS[seed]),
        )
        for seed in range(count)
    ]


def train(pack: PackTrainer) -> PackTrainer:
    """The pack after the rest of its training."""
    while pack.running:
        pack.advance()
    return pack


def as_saved(state: CellState) -> CellState:
    """A state after writing and reading a checkpoint."""
    tensors, record = tensor_file.parse(tensor_file.dump(state.tensors, {"curve": state.curve}))
    return CellState(tensors, state.step, state.seconds, record["curve"])
