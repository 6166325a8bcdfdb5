"""A model sets itself up from training images: by its seed alone, in a pack as alone, once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.data.preparation import scale
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.training.conformance import contract
from harness.training.data_start import SeededImages
from harness.training.trainer import PackTrainer

SOURCE = '''
import math

import torch
from torch import nn

from harness.plugins.model import PIXELS, Model, Terms
from harness.plugins.registry import register
from models.distributions import bernoulli_nll

CODES = 5


@register("started")
class Started(Model):
    """p(x) = Σ_k Bernoulli(x; sigmoid(code_k)) / 5"""

    def __init__(self):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(CODES, PIXELS))
        self.register_buffer("images", torch.zeros(()))
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("draw", torch.zeros(3))

    def start_from_data(self, images):
        self.codes.copy_(4 * images.draw(CODES) - 2)
        self.images.fill_(images.count)
        self.draw.copy_(torch.randn(3))

    def noise(self, batch):
        return {} if self.training else {"component": (batch,)}

    def terms(self, batch, noise):
        if self.training:
            self.steps = self.steps + 1
        log_p = -bernoulli_nll(self.codes, batch.x.unsqueeze(-2))
        return Terms(nll=math.log(CODES) - log_p.logsumexp(-1))

    def sample(self, noise):
        component = (torch.special.ndtr(noise["component"]) * CODES).long().clamp(max=CODES - 1)
        return self.codes[component].sigmoid()


@register("forgetful")
class Forgetful(Started):
    def start_from_data(self, images):
        self.number = images.count


@register("growing")
class Growing(Started):
    def start_from_data(self, images):
        self.codes = nn.Parameter(images.draw(CODES + 1))


@register("failing")
class Failing(Started):
    def start_from_data(self, images):
        raise KeyError("nothing here")
'''
NAMES = ("started", "forgetful", "growing", "failing")


@pytest.fixture(autouse=True)
def models() -> Iterator[None]:
    registry.load_source("started.py", SOURCE)
    yield
    for name in NAMES:
        del registry._models[name]


def cells_of(seeds: Sequence[int], **values: Any) -> list[Cell]:
    return [Cell("started", seed, 12, batch_size=20, **values) for seed in seeds]


def tensors(pack: PackTrainer, index: int) -> dict[str, torch.Tensor]:
    state = pack.extract_state(index).tensors
    return {name: value for name, value in state.items() if name != "trace"}


def train(pack: PackTrainer, steps: int) -> PackTrainer:
    while pack.step < steps:
        pack.train_step()
    return pack


def test_draws_are_training_images_all_once_before_one_comes_again(mnist: Data) -> None:
    static = replace(mnist, spec=replace(mnist.spec, binarisation="static"))
    images = SeededImages(cells_of([3])[0], static)
    assert images.count == len(static.train_x)
    first, second = (images.draw(images.count) for _ in range(2))
    expected = scale(static.train_x, static.spec)
    assert not torch.equal(first, second)
    for drawn in (first, second):
        assert torch.equal(drawn.sum(-1).sort().values, expected.sum(-1).sort().values)
    twice = images.draw(2 * images.count + 1)
    assert torch.equal(twice[: images.count].sum(-1).sort().values, expected.sum(-1).sort().values)
    assert len(twice) == 2 * images.count + 1


def test_a_model_starts_from_binarised_images_of_its_training_set(mnist: Data) -> None:
    (cell,) = cells_of([0], validation=100)
    pack = PackTrainer([cell], mnist)
    state = tensors(pack, 0)
    codes = state["param.codes"]
    assert set(codes.unique().tolist()) == {-2.0, 2.0}
    assert float(state["state.images"]) == len(mnist.train_x) - 100
    # where a pixel is on, the grey level of that training image is above 0
    grey = pack.data.train_x.cpu().float()
    lit = (codes > 0).float() @ (grey == 0).float().T
    assert bool((lit == 0).any(1).all())


def test_every_cell_of_a_pack_starts_as_alone_and_by_its_seed(mnist: Data) -> None:
    pack = PackTrainer(cells_of([0, 1]), mnist)
    for index, cell in enumerate(pack.cells):
        for name, value in tensors(PackTrainer([cell], mnist), 0).items():
            assert torch.equal(value, tensors(pack, index)[name]), name
    first, second = (tensors(pack, index) for index in (0, 1))
    assert not torch.equal(first["param.codes"], second["param.codes"])
    assert not torch.equal(first["state.draw"], second["state.draw"])
    assert not torch.equal(first["param.codes"][0], first["param.codes"][1])


def test_the_start_is_the_same_for_every_beta_and_leaves_other_draws_alone(mnist: Data) -> None:
    low, high = cells_of([0], beta=0.5) + cells_of([0], beta=2.0)
    torch.manual_seed(0)
    pack = PackTrainer([low, high], mnist)
    after = torch.rand(())
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(()))
    for name, value in tensors(pack, 0).items():
        assert torch.equal(value, tensors(pack, 1)[name])


def test_a_resumed_training_does_not_start_again(mnist: Data) -> None:
    cells = cells_of([0, 1])
    straight = train(PackTrainer(cells, mnist), 3)
    states = [straight.extract_state(index) for index in range(2)]
    resumed = PackTrainer(cells, mnist, states=states)
    assert torch.equal(tensors(resumed, 0)["param.codes"], tensors(straight, 0)["param.codes"])
    for pack in (straight, resumed):
        train(pack, 6)
    for index in range(2):
        for name, value in tensors(straight, index).items():
            assert torch.equal(value, tensors(resumed, index)[name]), name
    assert float(tensors(resumed, 0)["state.steps"]) == 6


def test_the_scored_model_has_what_the_start_set(mnist: Data) -> None:
    pack = train(PackTrainer(cells_of([0]), mnist), 2)
    assert float(pack.extract_model(0).get_buffer("images")) == len(mnist.train_x)


def test_a_model_that_starts_from_data_keeps_the_contract() -> None:
    assert [fault for _, fault in contract.run_checks(cells_of([0])[0]) if fault] == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("forgetful", "sets number in start_from_data: keep state in buffers (register_buffer)"),
        ("growing", "sets codes of shape (6, 784) in start_from_data; expected (5, 784)"),
        ("failing", "fails in start_from_data: KeyError: 'nothing here'"),
    ],
)
def test_a_start_that_breaks_the_contract_is_found_before_training(name: str, fault: str) -> None:
    found = contract.find_violation(Cell(name, 0, 12), importance_weights=False)
    assert found == f"model '{name}' {fault}"
