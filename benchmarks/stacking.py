"""How much a pack gains: seconds of a step of a cell in packs of 1, 2 and 4, eager, on one thread.

    python -m benchmarks.stacking

Models of several kinds are timed in turn, `ROUNDS` times; the table has medians and the spread.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from harness.data import loading
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.training.process_tuning import flush_denormals
from harness.training.trainer import PackTrainer

EXAMPLES = Path(__file__).parents[1] / "examples"
MODELS = {
    "vae": "MLP",
    "convvae": "convolutions, batch norm, dropout",
    "vqvae": "MLP, codebook in buffers",
    "made": "masked MLP",
    "lstm_vae": "not stackable",
}
SIZES = (1, 2, 4)
ROUNDS = 5
STEPS = 4  # of a measurement, after one that is not timed


def time_cell_step(pack: PackTrainer) -> float:
    """Seconds of a step, divided by the cells of the pack."""
    pack.train_step()
    started = time.perf_counter()
    for _ in range(STEPS):
        pack.train_step()
    return (time.perf_counter() - started) / STEPS / len(pack.cells)


def measure(models: Sequence[str]) -> dict[tuple[str, int], list[float]]:
    """Seconds of a step of a cell by model and pack size, one value a round."""
    data = loading.load("mnist")
    packs = {
        (model, size): PackTrainer(
            [_make_cell(model, seed) for seed in range(size)],
            data,
        )
        for model in models
        for size in SIZES
    }
    times: dict[tuple[str, int], list[float]] = {key: [] for key in packs}
    for _ in range(ROUNDS):
        for key, pack in packs.items():
            times[key].append(time_cell_step(pack))
    return times


def _make_cell(model: str, seed: int) -> Cell:
    settings = tuple(registry.cards()[model].default_settings.items())
    return Cell(model, seed, 1000, settings=settings)


def print_table(times: dict[tuple[str, int], list[float]]) -> None:
    """Milliseconds of a step of a cell alone, and its ratio to that in a pack, in Markdown."""
    print("| model | | alone, ms (range) | ratio in a pack of 2 | of 4 |\n|---|---|---|---|---|")
    for model, kind in MODELS.items():
        alone = times[model, 1]
        low, middle, high = (1000 * f(alone) for f in (min, statistics.median, max))
        ratios = [middle / 1000 / statistics.median(times[model, size]) for size in SIZES[1:]]
        columns = " | ".join(f"{ratio:.2f} ×" for ratio in ratios)
        print(f"| `{model}` | {kind} | {middle:.1f} ({low:.1f} to {high:.1f}) | {columns} |")


def main() -> None:
    """Load the examples, measure and print."""
    torch.set_num_threads(1)
    for model in MODELS:
        if (EXAMPLES / f"{model}.py").exists():
            registry.load_plugins([str(EXAMPLES / f"{model}.py")])
    with flush_denormals():
        print_table(measure(list(MODELS)))


if __name__ == "__main__":
    main()
