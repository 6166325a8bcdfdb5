"""Densities, divergences and their gradients against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
)

from models import gaussian


@pytest.fixture
def q() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(7, 10, generator=generator, dtype=torch.double)
    var = gaussian.variance(torch.randn(7, 10, generator=generator, dtype=torch.double))
    return mean.requires_grad_(), var.requires_grad_()


def same_with_gradients(ours: torch.Tensor, theirs: torch.Tensor, *inputs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(torch.autograd.grad(ours.sum(), inputs), torch.autograd.grad(theirs.sum(), inputs), strict=True):
        torch.testing.assert_close(a, b)


def test_log_normal(q: tuple[torch.Tensor, torch.Tensor]) -> None:
    mean, var = q
    z = torch.linspace(-2, 2, 10, dtype=torch.double)
    same_with_gradients(gaussian.log_normal(z, mean, var), Normal(mean, var.sqrt()).log_prob(z).sum(-1), mean, var)


def test_log_standard_normal() -> None:
    z = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    same_with_gradients(gaussian.log_standard_normal(z), Normal(0.0, 1.0).log_prob(z).sum(-1), z)


def test_analytic_kl(q: tuple[torch.Tensor, torch.Tensor]) -> None:
    mean, var = q
    theirs = kl_divergence(Normal(mean, var.sqrt()), Normal(torch.zeros_like(mean), torch.ones_like(var))).sum(-1)
    same_with_gradients(gaussian.kl_standard_normal(mean, var), theirs, mean, var)


def test_kl_uniform() -> None:
    logits = torch.randn(6, 10, dtype=torch.double, requires_grad=True)
    theirs = kl_divergence(Categorical(logits=logits), Categorical(logits=torch.zeros_like(logits)))
    same_with_gradients(gaussian.kl_uniform(logits), theirs, logits)


def test_bernoulli_nll_and_its_broadcast_over_classes() -> None:
    logits = torch.randn(10, 6, 8, dtype=torch.double, requires_grad=True)
    x = torch.rand(6, 8, dtype=torch.double).bernoulli()
    same_with_gradients(gaussian.bernoulli_nll(logits, x), -Bernoulli(logits=logits).log_prob(x).sum(-1), logits)


def test_bernoulli_nll_is_finite_where_the_decoder_is_sure_and_wrong() -> None:
    assert gaussian.bernoulli_nll(torch.tensor([200.0, -200.0]), torch.tensor([0.0, 1.0])).item() == pytest.approx(400)


def test_mixture_density_against_a_direct_sum_and_torch(q: tuple[torch.Tensor, torch.Tensor]) -> None:
    means, variances = q
    z = torch.randn(3, 10, dtype=torch.double, requires_grad=True)
    ours = gaussian.log_mixture(z, means, variances)
    components = Independent(Normal(means, variances.sqrt()), 1)
    theirs = MixtureSameFamily(Categorical(torch.ones(7, dtype=torch.double)), components).log_prob(z)
    same_with_gradients(ours, theirs, means, variances, z)
    densities = [math.exp(gaussian.log_normal(z[0], m, v).item()) for m, v in zip(means, variances, strict=True)]
    assert ours[0].item() == pytest.approx(math.log(sum(densities) / 7))


def test_mixture_density_in_single_precision_with_narrow_components() -> None:
    """The expanded squares lose digits where variances are small: still within a thousandth of a nat."""
    generator = torch.Generator().manual_seed(1)
    means = 2 * torch.randn(500, 10, generator=generator)
    variances = torch.full((500, 10), 0.02)
    z = means[:50] + 0.1 * torch.randn(50, 10, generator=generator)
    exact = gaussian.log_mixture(z.double(), means.double(), variances.double())
    torch.testing.assert_close(gaussian.log_mixture(z, means, variances).double(), exact, atol=1e-3, rtol=0)


def test_draw_has_the_mean_and_the_variance() -> None:
    noise = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(2))
    z = gaussian.draw(torch.tensor([3.0]), torch.tensor([4.0]), noise)
    assert z.mean().item() == pytest.approx(3, abs=0.03)
    assert z.var().item() == pytest.approx(4, rel=0.02)
