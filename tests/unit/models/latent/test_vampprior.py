"""The prior of pseudo-inputs against torch's mixture; with one it is a Gaussian."""

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
)

from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, draw_noise
from harness.training.trainer import PackTrainer
from models.latent.vampprior import VampPrior
from tests.conftest import given
from tests.unit.small_data import make_cell


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 784, generator=torch.Generator().manual_seed(1)).double().round()


@pytest.mark.parametrize("k", [1, 7])
def test_the_bound_has_the_mixture_of_the_pseudo_inputs_posteriors(
    k: int, images: torch.Tensor
) -> None:
    torch.manual_seed(0)
    model = VampPrior(z=4, k=k).double()
    noise = torch.randn(6, 4).double()
    mean, var = model.encoder(images)
    means, variances = model.encoder(model.pseudo_inputs.sigmoid())
    components = Independent(Normal(means, variances.sqrt()), 1)
    prior = MixtureSameFamily(Categorical(torch.ones(k).double()), components)
    z = mean + var.sqrt() * noise
    kl = Normal(mean, var.sqrt()).log_prob(z).sum(1) - prior.log_prob(z)
    rec = -Bernoulli(logits=model.decoder(z)).log_prob(images).sum(1)
    terms = model.terms(Batch(images, images[:0], torch.zeros(0).long()), {"z": noise})
    torch.testing.assert_close(given(terms.kl), kl)
    torch.testing.assert_close(given(terms.rec), rec)
    parameters = list(model.parameters())
    ours = torch.autograd.grad((given(terms.rec) + given(terms.kl)).sum(), parameters)
    theirs = torch.autograd.grad((rec + kl).sum(), parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_with_one_pseudo_input_the_prior_is_its_gaussian(images: torch.Tensor) -> None:
    """The pseudo-input's own image has a KL of 0 from it, at every draw."""
    torch.manual_seed(0)
    model = VampPrior(z=4, k=1).double()
    x, noise = model.pseudo_inputs.sigmoid().detach(), torch.randn(1, 4).double()
    terms = model.terms(Batch(x, x[:0], torch.zeros(0).long()), {"z": noise})
    torch.testing.assert_close(given(terms.kl), torch.zeros(1).double())
    draws = draw_noise(model, 5, torch.Generator().manual_seed(0))
    mean, var = model.encoder(x)
    z = mean + var.sqrt() * draws["z"].double()
    expected = model.decoder(z).sigmoid()
    torch.testing.assert_close(model.sample({n: p.double() for n, p in draws.items()}), expected)


def test_pseudo_inputs_are_training_images_unless_they_start_at_random(data: Data) -> None:
    by_default, at_random = (
        PackTrainer([make_cell("vampprior", settings={"k": 9, **more})], data).params[
            "pseudo_inputs"
        ][0]
        for more in ({}, {"from_data": False})
    )
    assert by_default.sigmoid().unique().tolist() == pytest.approx([0.05, 0.95])
    lit = by_default > 0
    could_be = (lit.unsqueeze(1) & (data.train_x == 0)).any(-1).logical_not()
    assert bool(could_be.any(1).all())
    assert len(at_random.unique()) == at_random.numel()


def test_its_components_are_drawn_alike() -> None:
    model = registry.build(make_cell("vampprior", dataset="mnist", settings={"k": 20, "z": 2}))
    noise = draw_noise(model, 20_000, torch.Generator().manual_seed(1))
    counts = torch.bincount((torch.special.ndtr(noise["component"]) * 20).long(), minlength=20)
    assert ((counts - 1000) ** 2 / 1000.0).sum().item() < 60  # chi-squared, 19 degrees of freedom
