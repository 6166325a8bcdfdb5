"""Seconds of a training step on one thread: ours, its matrix products alone, and others'."""

from collections.abc import Callable

import torch

from benchmarks.speed import plain
from benchmarks.speed.floor import products
from benchmarks.speed.measure import Times, interleaved
from harness.data import idx_sets
from harness.experiment import grid_file
from harness.experiment.cell import Cell
from harness.experiment.recipe import canonical_recipe
from harness.plugins import registry
from harness.scheduling.packing import group_by_pack_key
from harness.training import process_tuning
from harness.training.trainer import PackTrainer

TURN = 5  # steps in a row, so that caches are as warm as in training
# steps of an epoch of Pythae, which has a cost per epoch; an epoch of MNIST has 619
EPOCH = 100
MODELS = ("vae", "gmvae", "ssvae")
PRECISIONS = ("float32", "bf16")  # those of CPUs
Work = dict[str, Callable[[], object]]


def cells(model: str, count: int, precision: str = "float32") -> list[Cell]:
    """`count` cells of a model at full length, with β 4 and 1 in turn."""
    recipe = canonical_recipe({"precision": precision})
    card = registry.cards()[model]
    settings, supervision = tuple(card.default_settings.items()), card.supervisions[0]
    labels, draw = (0, "none") if supervision == "none" else (100, "seed")
    return [
        Cell(
            model,
            seed,
            card.iterations,
            settings,
            1.0 if seed % 2 else 4.0,
            "mnist",
            supervision,
            labels,
            draw,
            recipe=recipe,
        )
        for seed in range(count)
    ]


def precisions(rounds: int) -> dict[str, Times]:
    """Seconds per step and cell on one thread, compiled: `vae 8 bf16` and the like."""
    torch.set_num_threads(1)
    process_tuning.keep_freed_memory()
    mnist = idx_sets.load("mnist")
    found: dict[str, Times] = {}
    for model in MODELS:
        for size in (1, 8):
            rivals = {
                name: turn(PackTrainer(cells(model, size, name), mnist, compiled=True).train_step)
                for name in PRECISIONS
            }
            for name, times in interleaved(rivals, rounds).items():
                each = [taken / (TURN * size) for taken in times.taken]
                found[f"{model} {size} {name}"] = Times(each)
    return found


def steps(rounds: int) -> dict[str, Times]:
    """Seconds per step and cell by contender, in a process that keeps freed memory as a trial."""
    from benchmarks.speed.pythae_trainer import Epochs  # the other parts do not need pythae

    torch.set_num_threads(1)
    process_tuning.keep_freed_memory()
    mnist = idx_sets.load("mnist")
    train_x, _, train_y, _ = plain.load()
    found: dict[str, Times] = {}
    for model in MODELS:
        rivals: Work = {
            "plain": turn(plain.Training(plain.Cell(model, 1.0, 0, 0), train_x, train_y).step)
        }
        shares = {"plain": TURN}
        if model == "vae":
            rivals["pythae"], shares["pythae"] = Epochs(train_x, EPOCH).epoch, EPOCH
        for size in (1, 8):
            eager = PackTrainer(cells(model, size), mnist)
            ours = PackTrainer(cells(model, size), mnist, compiled=True)
            work = {
                f"products {size}": products(eager),
                f"eager {size}": eager.train_step,
                f"ours {size}": ours.train_step,
            }
            rivals |= {name: turn(step) for name, step in work.items()}
            shares |= dict.fromkeys(work, TURN * size)
        for name, times in interleaved(rivals, rounds).items():
            found[f"{model} {name}"] = Times([taken / shares[name] for taken in times.taken])
    return found


def limit(name: str, cpus: int, rounds: int) -> float:
    """Seconds of a grid (name or file) if it were its matrix products alone, on idle CPUs."""
    torch.set_num_threads(1)
    process_tuning.keep_freed_memory()
    mnist = idx_sets.load("mnist")
    seconds = 0.0
    for group in group_by_pack_key(
        grid_file.validate(grid_file.read(name)).cells(registry.cards())
    ).values():
        times = interleaved({"products": turn(products(PackTrainer(group[:1], mnist)))}, rounds)[
            "products"
        ]
        seconds += times.median / TURN * sum(cell.iterations for cell in group)
    return seconds / cpus


def turn(step: Callable[[], object]) -> Callable[[], None]:
    """A turn of a contender: `TURN` steps."""

    def several() -> None:
        for _ in range(TURN):
            step()

    return several
