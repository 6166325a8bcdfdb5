"""Layers multiply in the precision of the recipe, and nothing else does."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import grad, vmap
from torch.nn import functional as F  # noqa: N812

from harness import bench
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.training.optimization.precision import round_layers, with_tf32
from harness.training.trainer import PackTrainer
from tests.conftest import CellMaker

ROUNDED = (("precision", "bf16"),)
GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR)


def in_bf16(cell: Cell) -> Cell:
    return replace(cell, recipe=ROUNDED)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(7, 5), (3, 7)),
        (nn.Conv2d(2, 4, 3), (3, 2, 8, 8)),
        (nn.ConvTranspose2d(2, 4, 3), (3, 2, 8, 8)),
    ],
    ids=["linear", "convolution", "transposed convolution"],
)
def test_a_layer_multiplies_rounded_numbers(layer: nn.Module, shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    exact = layer(x)
    with round_layers("bf16"):
        found = layer(x)
    expected = layer.bfloat16()(x.bfloat16()).float()
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert not torch.equal(found, exact)
    assert torch.allclose(found, exact, rtol=0.05, atol=0.05)


def test_a_layer_of_another_precision_is_left_as_it_is() -> None:
    layer, x = nn.Linear(7, 5).double(), draw(3, 7).double()
    with round_layers("bf16"):
        found = layer(x)
    assert found.dtype == torch.float64
    assert torch.equal(found, layer(x))


def test_products_of_a_models_own_formulas_are_exact() -> None:
    """The density of a mixture is one."""
    a, b = draw(4, 6), draw(6, 4)
    with round_layers("bf16"):
        inside = a @ b
    assert torch.equal(inside, a @ b)


def test_gradients_are_float32_and_those_of_rounded_products() -> None:
    """For the loss sum(x Wᵀ), the gradient of W is the sum of the rounded inputs."""
    x, weights = draw(2, 9, 7), draw(2, 5, 7)

    def loss(weight: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        with round_layers("bf16"):
            return F.linear(inputs, weight).sum()

    gradients = vmap(grad(loss))(weights, x)
    assert gradients.dtype == torch.float32
    expected = x.bfloat16().float().sum(1, keepdim=True).expand(2, 5, 7)
    assert torch.allclose(gradients, expected, rtol=2**-7, atol=1e-6)


def test_float32_changes_nothing() -> None:
    """Not even a function is called in another mode."""
    with round_layers("float32") as mode:
        assert mode is None
    assert with_tf32("float32", draw) is draw


def test_the_default_precision_is_in_no_id(cell: CellMaker) -> None:
    one = cell("vae")
    assert in_bf16(one).id != one.id
    assert in_bf16(one).pack_key != one.pack_key


@pytest.mark.parametrize("model", ["vae", "gmvae", "convvae"])
def test_a_cell_trains_in_bf16_nearly_as_in_float32(
    model: str, mnist: Data, cell: CellMaker
) -> None:
    """The losses of ten steps agree to 1 %, and no more exactly than bfloat16 allows."""
    cells = [cell(model, seed, iterations=10) for seed in (0, 1)]
    packs = [PackTrainer(cells, mnist), PackTrainer([in_bf16(one) for one in cells], mnist)]
    for pack in packs:
        for _ in range(10):
            pack.train_step()
    exact, rounded = (
        [trace.tensors for trace in (pack.extract_state(0), pack.extract_state(1))]
        for pack in packs
    )
    for one, other in zip(exact, rounded, strict=True):
        names = [name for name in one if name.startswith("param")]
        assert names
        assert all(other[name].dtype == torch.float32 for name in names)
        assert any(not torch.equal(one[name], other[name]) for name in names)
        assert all(torch.allclose(one[name], other[name], atol=0.05) for name in names)


def test_a_loss_keeps_the_digits_of_float32(mnist: Data, cell: CellMaker) -> None:
    """In bfloat16 a loss of 543 nats would be a multiple of 4."""
    pack = PackTrainer([in_bf16(cell("vae"))], mnist)
    objective = pack.eager_objective
    _, parts, _ = objective(pack.params, pack.untrained, *pack._next_batch(), pack.term_weights)
    assert parts.rec.dtype == torch.float32
    assert parts.rec.item() == pytest.approx(784 * math.log(2), rel=0.02)
    assert parts.rec.item() % 4 != 0


def test_tf32_is_allowed_during_a_step_alone() -> None:
    def step() -> list[bool]:
        return [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32]

    before = step()
    assert with_tf32("tf32", step)() == [True, True]
    assert step() == before


def test_tf32_is_refused_without_a_gpu(
    mnist: Data, cell: CellMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="tf32 is of GPUs; expected float32 or bf16"):
        PackTrainer([replace(cell("vae"), recipe=(("precision", "tf32"),))], mnist)
    flags = ["--models", "vae", "--recipe", "precision=tf32", "--dry-run"]
    assert bench.main([*flags, "--launcher", "in-process"]) == 2
    assert capsys.readouterr().err == (
        "error: recipe precision=tf32 is of GPUs; expected --gpus-per-trial, or float32 or bf16\n"
    )
