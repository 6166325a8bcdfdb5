"""Pixels depend on those before them alone, and the probabilities of all images sum to one."""

import itertools

import pytest
import torch
from torch.distributions import Bernoulli
from torch.func import jacrev

from harness.plugins import registry
from harness.plugins.dataset import DataSpec
from harness.plugins.model import Batch, draw_noise
from models.autoregressive.made import MADE
from tests.conftest import CellMaker, given

EIGHT = DataSpec((1, 2, 4))


def make(layers: int, dtype: torch.dtype = torch.double) -> MADE:
    """A small net with large weights, so that pixels depend on each other."""
    torch.manual_seed(0)
    model = MADE(hidden=40, layers=layers, data=EIGHT)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.to(dtype)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_pixel_depends_on_those_before_it(layers: int) -> None:
    model = make(layers)
    x = torch.rand(64, 8).double()
    jacobian = torch.stack([jacrev(model._predict)(one) for one in x]).abs().sum(0)
    assert torch.equal(jacobian.triu(0), torch.zeros(8, 8).double())
    assert (jacobian.tril(-1) > 0).sum() == 28


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_all_images_together_have_probability_one(layers: int) -> None:
    model = make(layers)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8))).double()
    nll = given(model.terms(Batch(x, x[:0], torch.zeros(0).long()), {}).nll)
    assert float((-nll.detach()).exp().sum()) == pytest.approx(1.0, abs=1e-12)
    assert nll.std() > 0.5


def test_the_likelihood_is_that_of_a_loop_over_pixels() -> None:
    model = make(2)
    x = torch.rand(5, 8).double().round()
    nll = torch.zeros(5).double()
    for i in range(8):
        before = torch.where(torch.arange(8) < i, x, 0.5)  # what it must not see is anything
        nll -= Bernoulli(logits=model._predict(before)[:, i]).log_prob(x[:, i])
    terms = model.terms(Batch(x, x[:0], torch.zeros(0).long()), {})
    torch.testing.assert_close(given(terms.nll), nll)


def test_samples_have_the_probabilities_of_the_model() -> None:
    model = make(2, torch.float).eval()
    n, x = 40_000, torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)))
    with torch.inference_mode():
        p = (-given(model.terms(Batch(x, x[:0], torch.zeros(0).long()), {}).nll)).exp()
        drawn = model.sample(draw_noise(model, n, torch.Generator().manual_seed(0)))
    place = (drawn * 2.0 ** torch.arange(7, -1, -1)).sum(1).long()
    share = torch.bincount(place, minlength=256) / n
    assert ((share - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-4).all()


def test_the_net_has_the_layers_of_the_vaes(cell: CellMaker) -> None:
    model = registry.build(cell("made"))
    shapes = [tuple(p.shape) for name, p in model.named_parameters() if "weight" in name]
    assert shapes == [(300, 784), (300, 300), (784, 300)]
    assert model.noise(5) == {}
