"""The optimisers of recipes against torch's own loop, one cell at a time."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from harness.experiment.cell import Cell
from harness.experiment.recipe import Recipe, canonical_recipe, parse_recipe
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.training.optimization.adam import Adam
from harness.training.optimization.cell_optimizers import (
    CLASS_NAMES,
    CellOptimizers,
    clip_by_norm,
    make_optimizer,
)
from harness.training.optimization.schedules import learning_rate_factor
from harness.training.trainer import PackTrainer
from tests.unit.harness.training.optimization.recipes import (
    OPTIMIZERS,
    as_saved,
    make_cells,
    train,
)

OVER_OPTIMIZERS = pytest.mark.parametrize("optimizer", OPTIMIZERS)
SHAPES = {"weight": (40, 30), "bias": (7,), "scale": ()}


def draw_tensors(cells: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn((cells, *shape), generator=generator) for name, shape in SHAPES.items()
    }


def transpose_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same numbers, with the matrix transposed in memory as the gradient of a layer may be."""
    return tensors | {"weight": tensors["weight"].mT.contiguous().mT}


def step_alone(
    cell: Cell, start: dict[str, Tensor], gradients: Sequence[dict[str, Tensor]]
) -> list[Tensor]:
    """The parameters of one cell after torch's own loop: clipping, schedule and optimiser."""
    recipe = parse_recipe(cell.recipe)
    params = [torch.nn.Parameter(value.contiguous().clone()) for value in start.values()]
    momentum = {"momentum": recipe.momentum} if recipe.momentum else {}
    optimizer = getattr(torch.optim, CLASS_NAMES[recipe.optimizer])(
        params, lr=cell.learning_rate, weight_decay=recipe.weight_decay, **momentum
    )
    for step, by_name in enumerate(gradients):
        for parameter, gradient in zip(params, by_name.values(), strict=True):
            parameter.grad = gradient.contiguous().clone()
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_(params, recipe.clip)
        factor = learning_rate_factor(recipe, step, cell.iterations)
        optimizer.param_groups[0]["lr"] = cell.learning_rate * factor
        optimizer.step()
    return [parameter.detach() for parameter in params]


@OVER_OPTIMIZERS
@pytest.mark.parametrize("transposed", [False, True])
def test_every_cell_steps_as_torch_alone(optimizer: str, transposed: bool) -> None:
    cells = make_cells("vae", optimizer, 3)
    start, gradients = draw_tensors(3, 0), [draw_tensors(3, step + 1) for step in range(8)]
    expected = [
        step_alone(
            cell,
            {name: value[index] for name, value in start.items()},
            [{name: value[index] for name, value in by_name.items()} for by_name in gradients],
        )
        for index, cell in enumerate(cells)
    ]
    params = transpose_memory(start) if transposed else draw_tensors(3, 0)
    pack = CellOptimizers(params, cells)
    for step, by_name in enumerate(gradients):
        # gradients may have another layout than the parameters
        pack.apply_gradients(transpose_memory(by_name) if step % 2 else by_name)
    for index, values in enumerate(expected):
        for name, value in zip(SHAPES, values, strict=True):
            assert_close(params[name][index], value, rtol=1e-5, atol=1e-6)
    assert pack.step == 8


def test_clipping_is_torchs_and_leaves_the_gradients() -> None:
    gradients = [3 * value[0] for value in draw_tensors(1, 0).values()]
    copies = [gradient.clone() for gradient in gradients]
    parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, copies, strict=True):
        parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(parameters, 2.0)
    clipped = clip_by_norm(gradients, 2.0)
    assert float(torch.cat([part.flatten() for part in clipped]).norm()) == pytest.approx(2.0)
    for parameter, gradient, before, value in zip(
        parameters, gradients, copies, clipped, strict=True
    ):
        assert_close(value, parameter.grad)
        assert torch.equal(gradient, before)


def test_a_small_gradient_is_not_clipped() -> None:
    (gradient,) = clip_by_norm([torch.tensor([3.0, 4.0])], 6.0)
    assert torch.equal(gradient, torch.tensor([3.0, 4.0]))


def test_one_infinite_gradient_does_not_touch_the_neighbours() -> None:
    cells = make_cells("vae", "adamw", 2)
    params, gradients = draw_tensors(2, 0), draw_tensors(2, 1)
    gradients["bias"][0] = torch.inf
    CellOptimizers(params, cells).apply_gradients(gradients)
    assert not torch.isfinite(params["bias"][0]).all()
    assert all(torch.isfinite(value[1]).all() for value in params.values())


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, Adam),
        ({"ema": 0.9, "beta_warmup": 5}, Adam),
        ({"clip": 1.0}, CellOptimizers),
        ({"weight_decay": 0.1}, CellOptimizers),
        ({"lr_warmup": 2}, CellOptimizers),
        ({"schedule": "cosine"}, CellOptimizers),
        ({"optimizer": "sgd"}, CellOptimizers),
    ],
)
def test_the_default_steps_are_fused(recipe: dict[str, Any], expected: type) -> None:
    cell = Cell("vae", 0, 10, recipe=canonical_recipe(recipe))
    assert type(make_optimizer(draw_tensors(1, 0), [cell])) is expected


def test_a_momentum_is_left_out_where_the_optimizer_has_none() -> None:
    assert canonical_recipe({"optimizer": "adamw", "momentum": 0.9}) == (("optimizer", "adamw"),)
    assert canonical_recipe({"momentum": 0.9}) == ()
    assert ("momentum", 0.9) in canonical_recipe({"optimizer": "rmsprop", "momentum": 0.9})


def test_the_key_of_a_pack_is_without_the_numbers_of_a_recipe() -> None:
    def key(**recipe: Any) -> Cell:
        return Cell("vae", 0, 10, recipe=canonical_recipe(recipe)).pack_key

    numbers = {"weight_decay": 0.1, "clip": 1.0, "momentum": 0.5, "lr_warmup": 3}
    numbers |= {"beta_warmup": 3, "ema": 0.9}
    assert key() == key(**numbers)
    assert key(optimizer="sgd") == key(optimizer="sgd", **numbers)
    kinds = [{"optimizer": "sgd"}, {"schedule": "cosine"}, {"keep": "best"}]
    assert len({key(), *(key(**kind) for kind in kinds)}) == 4


# --- training -------------------------------------------------------------------------------------


@OVER_OPTIMIZERS
@pytest.mark.parametrize("cells", [1, 3])
def test_an_interrupted_training_ends_with_the_same_bits(
    optimizer: str, cells: int, mnist: Data, normed: str
) -> None:
    """With schedule, warm-ups, clipping and an average; stopped before every step."""
    group = make_cells(normed, optimizer, cells)
    straight, states = PackTrainer(group, mnist), []
    while straight.running:
        states.append([as_saved(straight.extract_state(index)) for index in range(cells)])
        straight.advance()
    assert len(states) == 6
    for state in states:
        pack = PackTrainer(group, mnist, states=state)
        train(pack)
        for index in range(cells):
            expected = straight.extract_state(index).tensors
            for name, value in pack.extract_state(index).tensors.items():
                assert torch.equal(value, expected[name]), (name, state[0].step)
            models = [one.extract_model(index).state_dict() for one in (straight, pack)]
            assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def assert_same_change(pack: PackTrainer, index: int, alone: PackTrainer) -> None:
    """The same scored weights up to rounding, relative to the distance from the start.

    Where a gradient is nearly 0, the sign of a step is arbitrary.
    """
    start, expected = (
        registry.build(alone.cells[0]).state_dict(),
        alone.extract_model(0).state_dict(),
    )
    for name, value in pack.extract_model(index).state_dict().items():
        distance = (expected[name] - start[name]).norm()
        assert (value - expected[name]).norm() <= 0.01 * distance + 1e-7, name


@OVER_OPTIMIZERS
def test_a_cell_does_not_depend_on_its_pack(optimizer: str, mnist: Data, warmed: str) -> None:
    """Three cells that differ in every number of the recipe, against each of them alone."""
    group = make_cells(warmed, optimizer, 3)
    together = train(PackTrainer(group, mnist))
    for index, cell in enumerate(group):
        alone = train(PackTrainer([cell], mnist))
        assert_same_change(together, index, alone)
        ours, theirs = (
            [point["loss"] for point in curve]
            for curve in (together.curves[index], alone.curves[0])
        )
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_a_cell_of_the_default_recipe_may_move_between_packs(mnist: Data, warmed: str) -> None:
    """Its checkpoint has the names of earlier versions and goes on in a pack with recipes."""
    plain, clipped = Cell(warmed, 0, 6), Cell(warmed, 1, 6, recipe=(("clip", 1.0), ("ema", 0.5)))
    alone, other = PackTrainer([plain], mnist), PackTrainer([clipped], mnist)
    for pack in (alone, other):
        pack.advance()
        pack.advance()
    saved = [as_saved(pack.extract_state(0)) for pack in (alone, other)]
    kinds = {name.partition(".")[0] for name in saved[0].tensors}
    assert kinds == {"param", "exp_avg", "exp_avg_sq", "state"}
    mixed = train(PackTrainer([plain, clipped], mnist, states=saved))
    for index, pack in enumerate((alone, other)):
        assert_same_change(mixed, index, train(pack))


def test_recipes_reach_the_training(mnist: Data, normed: str) -> None:
    """Every key of a recipe changes the result, so none is ignored."""
    recipes: list[dict[str, Any]] = [
        {},
        *({"optimizer": name} for name in OPTIMIZERS if name not in ("adam", "adamw")),
        {"optimizer": "adamw", "weight_decay": 0.5},
        {"optimizer": "sgd", "momentum": 0.9},
        {"weight_decay": 0.5},
        {"clip": 0.01, "optimizer": "sgd"},
        {"schedule": "linear"},
        {"schedule": "cosine"},
        {"lr_warmup": 4},
        {"beta_warmup": 4},
        {"ema": 0.9},
    ]
    found = set()
    for recipe in recipes:
        cell = Cell(normed, 0, 4, recipe=canonical_recipe(recipe))
        model = train(PackTrainer([cell], mnist)).extract_model(0)
        found.add(float(model.state_dict()["encoder.weight"].double().square().sum()))
    assert len(found) == len(recipes)
    assert Recipe().is_default
