"""Long and compiled packs on all of MNIST."""

import dataclasses

import pytest
import torch

from harness.experiment.cell import Cell
from harness.experiment.options import Compile
from harness.plugins.dataset import Data
from harness.plugins.model import Model
from harness.training import compilation
from harness.training.trainer import PackTrainer, make_trainer
from tests.conftest import CellMaker
from tests.unit.harness.training.test_trainer import (
    ARMS,
    COMPILES,
    OVER_ARMS,
    STEPS,
    Constant,
    Crossed,
    Spread,
    mixed,
    same,
    stored,
    trained,
)
from tests.unit.harness.training.test_trainer import no_compiling as no_compiling


@pytest.mark.slow
@OVER_ARMS
def test_a_cell_trains_in_any_pack_as_it_does_alone(
    model: str, supervision: str, mnist: Data, cell: CellMaker
) -> None:
    """In two packs, with other neighbours and in another order."""
    cells = mixed(cell, model, supervision)
    stranger = dataclasses.replace(cells[4], seed=9)
    is_slow = supervision == "semi-supervised"  # a step of it is one of each class
    steps = STEPS // 2 if is_slow else STEPS
    together = trained(cells, mnist, steps)
    elsewhere = trained([cells[7], stranger, cells[0]], mnist, steps)
    for index in (0, 7) if is_slow else range(8):
        alone = trained([cells[index]], mnist, steps)
        same(together, index, alone)
        if cells[index] in elsewhere.cells:
            same(elsewhere, elsewhere.cells.index(cells[index]), alone)


@pytest.fixture(scope="module", params=ARMS, ids="-".join)
def compiled(request: pytest.FixtureRequest, full_mnist: Data, cell: CellMaker) -> PackTrainer:
    """A compiled pack of two cells of each arm: compiling takes longer than what is tested."""
    return PackTrainer(mixed(cell, *request.param)[:2], full_mnist, compiled=True)


@pytest.mark.slow
@COMPILES
def test_a_compiled_pack_trains_as_an_eager_one(compiled: PackTrainer) -> None:
    """The same gradients and losses from the same weights, to float32 rounding.

    Weights are not compared: Adam's first steps are equally long for a gradient of 1e-9 and one of
        1, and have either sign.
    """
    pack = compiled
    assert pack.full_batch_objective is not pack.eager_objective
    assert pack.backend == "compiled"
    for _ in range(10):
        now = (pack.params, pack.untrained, *pack._next_batch(), pack.term_weights)
        (gradients, parts, _), (expected, losses, _) = (
            pack.full_batch_objective(*now),
            pack.eager_objective(*now),
        )
        torch.testing.assert_close(parts, losses, rtol=1e-5, atol=1e-5)
        for name, gradient in gradients.items():
            assert (gradient - expected[name]).norm() <= 1e-4 * expected[name].norm(), name
        pack.train_step()


@pytest.mark.slow
@COMPILES
def test_a_compiled_pack_trains_on_a_smaller_last_batch(
    compiled: PackTrainer, full_mnist: Data
) -> None:
    states = [stored(compiled.extract_state(index)) for index in (0, 1)]
    eager = PackTrainer(compiled.cells, full_mnist, states=states)
    for pack in (compiled, eager):
        pack.step = 618
        if compiled.cells[0].supervision != "supervised":  # its batch is all labelled images
            assert pack._next_batch()[0].x.shape[1] == 54
        pack.train_step()
        pack.train_step()
    for index in (0, 1):
        same(compiled, index, eager, index)


@pytest.mark.slow
@COMPILES
@pytest.mark.parametrize("model", [Crossed, Spread, Constant])
def test_a_compiled_model_may_have_any_gradient_layout(
    model: type[Model], mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.plugins.registry._models", {"crossed": model})
    cells = [Cell("crossed", seed, 10) for seed in (0, 1)]
    packs = [PackTrainer(cells, mnist, compiled=compiled) for compiled in (True, False)]
    for pack in packs:
        for _ in range(6):
            pack.train_step()
    for index in (0, 1):
        same(packs[0], index, packs[1], index)


@pytest.mark.slow
@COMPILES
def test_a_compiled_pack_in_bf16_has_the_losses_of_an_eager_one(
    mnist: Data, cell: CellMaker
) -> None:
    """Sums in another order round to a neighbour of bfloat16, 2⁻⁸ away."""
    recipe = (("precision", "bf16"),)
    cells = [dataclasses.replace(one, recipe=recipe) for one in mixed(cell, "vae", "none")[:2]]
    pack = PackTrainer(cells, mnist, compiled=True)
    for _ in range(3):
        now = (pack.params, pack.untrained, *pack._next_batch(), pack.term_weights)
        (gradients, parts, _), (expected, losses, _) = (
            pack.full_batch_objective(*now),
            pack.eager_objective(*now),
        )
        torch.testing.assert_close(parts, losses, rtol=1e-3, atol=1e-2)
        for name, gradient in gradients.items():
            assert (gradient - expected[name]).norm() <= 0.02 * expected[name].norm(), name
        pack.train_step()


@pytest.mark.slow
@COMPILES
def test_a_compiled_pack_resumes_to_the_same_bits(mnist: Data, cell: CellMaker) -> None:
    recipe = {"beta_warmup": 4, "clip": 9.0, "ema": 0.9}
    cells = [
        dataclasses.replace(one, recipe=tuple(recipe.items()))
        for one in mixed(cell, "vae", "none")[:2]
    ]
    straight = PackTrainer(cells, mnist, compiled=True)
    for _ in range(3):
        straight.advance()
    states = [stored(straight.extract_state(index)) for index in (0, 1)]
    second = PackTrainer(cells, mnist, states=states, compiled=True)
    for _ in range(3):
        straight.advance()
        second.advance()
    for name, value in straight.extract_state(1).tensors.items():
        assert torch.equal(value, second.extract_state(1).tensors[name])


@pytest.mark.usefixtures("no_compiling")
def test_what_fails_to_compile_trains_eagerly_and_says_so(mnist: Data, cell: CellMaker) -> None:
    one = cell("vae", iterations=compilation.MIN_STEPS_TO_COMPILE)
    pack = make_trainer([one], mnist, mode="auto")
    assert pack.backend == "eager (RuntimeError on compiling)"
    pack.train_step()
    pack.train_step()
    same(pack, 0, trained([one], mnist, 2))


@pytest.mark.usefixtures("no_compiling")
def test_what_was_asked_to_compile_and_fails_is_told(mnist: Data, cell: CellMaker) -> None:
    with pytest.raises(RuntimeError, match="a fault of the compiler"):
        make_trainer([cell("vae")], mnist, mode="always")


@pytest.mark.usefixtures("no_compiling")
@pytest.mark.parametrize(
    ("mode", "iterations"), [("never", 20_000), ("auto", compilation.MIN_STEPS_TO_COMPILE - 1)]
)
def test_what_need_not_compile_is_not_tried(
    mode: Compile, iterations: int, mnist: Data, cell: CellMaker
) -> None:
    assert make_trainer([cell("vae", iterations=iterations)], mnist, mode=mode).backend == "eager"
