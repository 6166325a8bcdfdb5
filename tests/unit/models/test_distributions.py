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
from torch.nn.functional import binary_cross_entropy_with_logits

from models import distributions


@pytest.fixture
def q() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(7, 10, generator=generator, dtype=torch.double)
    var = distributions.variance(torch.randn(7, 10, generator=generator, dtype=torch.double))
    return mean.requires_grad_(), var.requires_grad_()


def same_with_gradients(ours: torch.Tensor, theirs: torch.Tensor, *inputs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(
        torch.autograd.grad(ours.sum(), inputs),
        torch.autograd.grad(theirs.sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_log_normal(q: tuple[torch.Tensor, torch.Tensor]) -> None:
    mean, var = q
    z = torch.linspace(-2, 2, 10, dtype=torch.double)
    same_with_gradients(
        distributions.log_normal(z, mean, var),
        Normal(mean, var.sqrt()).log_prob(z).sum(-1),
        mean,
        var,
    )


def test_log_standard_normal() -> None:
    z = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    same_with_gradients(
        distributions.log_standard_normal(z), Normal(0.0, 1.0).log_prob(z).sum(-1), z
    )


def test_analytic_kl(q: tuple[torch.Tensor, torch.Tensor]) -> None:
    mean, var = q
    theirs = kl_divergence(
        Normal(mean, var.sqrt()), Normal(torch.zeros_like(mean), torch.ones_like(var))
    ).sum(-1)
    same_with_gradients(distributions.kl_standard_normal(mean, var), theirs, mean, var)


def test_kl_of_two_normals(q: tuple[torch.Tensor, torch.Tensor]) -> None:
    mean, var = q
    prior_mean = torch.randn(7, 10, dtype=torch.double, requires_grad=True)
    prior_var = (torch.rand(7, 10, dtype=torch.double) + 0.1).requires_grad_()
    theirs = kl_divergence(Normal(mean, var.sqrt()), Normal(prior_mean, prior_var.sqrt())).sum(-1)
    ours = distributions.kl_normal(mean, var, prior_mean, prior_var)
    same_with_gradients(ours, theirs, mean, var, prior_mean, prior_var)


def test_kl_uniform() -> None:
    logits = torch.randn(6, 10, dtype=torch.double, requires_grad=True)
    theirs = kl_divergence(Categorical(logits=logits), Categorical(logits=torch.zeros_like(logits)))
    same_with_gradients(distributions.kl_uniform(logits), theirs, logits)


def test_bernoulli_nll_and_its_broadcast_over_classes() -> None:
    logits = torch.randn(10, 6, 8, dtype=torch.double, requires_grad=True)
    x = torch.rand(6, 8, dtype=torch.double).bernoulli()
    same_with_gradients(
        distributions.bernoulli_nll(logits, x),
        -Bernoulli(logits=logits).log_prob(x).sum(-1),
        logits,
    )


def test_bernoulli_nll_is_finite_for_confident_errors() -> None:
    assert distributions.bernoulli_nll(
        torch.tensor([200.0, -200.0]), torch.tensor([0.0, 1.0])
    ).item() == pytest.approx(400)


@pytest.fixture
def extreme() -> torch.Tensor:
    """Logits from a certain 0 to a certain 1, without 0.

    At the ends exp underflows in float32.
    """
    return torch.cat([torch.linspace(-100, 100, 4000), torch.tensor([-1e-6, 1e-6, -1e4, 1e4])])


@pytest.mark.parametrize("pixel", [0.0, 1.0])
def test_bernoulli_nll_in_single_precision_is_the_exact_one(
    extreme: torch.Tensor, pixel: float
) -> None:
    """Value and gradient against torch's cross-entropy in double precision."""
    x = torch.full_like(extreme, pixel)
    logits, exact = extreme.clone().requires_grad_(), extreme.double().requires_grad_()
    ours = distributions.bernoulli_nll(logits.unsqueeze(-1), x.unsqueeze(-1))
    theirs = binary_cross_entropy_with_logits(exact, x.double(), reduction="none")
    assert ((ours - theirs).abs() <= 2e-7 * (1 + exact.abs())).all()
    (gradient,), (expected,) = (
        torch.autograd.grad(ours.sum(), logits),
        torch.autograd.grad(theirs.sum(), exact),
    )
    assert gradient.isfinite().all()
    torch.testing.assert_close(gradient.double(), expected, rtol=0, atol=2e-7)


def test_bernoulli_nll_gradient_at_a_logit_of_zero() -> None:
    """All logits are 0 if the decoder's last layer starts at zero."""
    logits = torch.zeros(2, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        distributions.bernoulli_nll(logits, torch.tensor([0.0, 1.0])), logits
    )
    assert gradient.tolist() == [0.5, -0.5]


def test_mixture_density_against_a_direct_sum_and_torch(
    q: tuple[torch.Tensor, torch.Tensor],
) -> None:
    means, variances = q
    z = torch.randn(3, 10, dtype=torch.double, requires_grad=True)
    ours = distributions.log_mixture(z, means, variances)
    components = Independent(Normal(means, variances.sqrt()), 1)
    theirs = MixtureSameFamily(Categorical(torch.ones(7, dtype=torch.double)), components).log_prob(
        z
    )
    same_with_gradients(ours, theirs, means, variances, z)
    densities = [
        math.exp(distributions.log_normal(z[0], m, v).item())
        for m, v in zip(means, variances, strict=True)
    ]
    assert ours[0].item() == pytest.approx(math.log(sum(densities) / 7))


def test_mixture_density_with_narrow_components() -> None:
    """The expanded squares lose precision where variances are small.

    The error stays below a thousandth of a nat.
    """
    generator = torch.Generator().manual_seed(1)
    means = 2 * torch.randn(500, 10, generator=generator)
    variances = torch.full((500, 10), 0.02)
    z = means[:50] + 0.1 * torch.randn(50, 10, generator=generator)
    exact = distributions.log_mixture(z.double(), means.double(), variances.double())
    torch.testing.assert_close(
        distributions.log_mixture(z, means, variances).double(), exact, atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("reach", [1.0, 50.0])
def test_mixture_density_gradient_equals_a_direct_logsumexp(
    reach: float, q: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Also if the density of every component underflows to 0."""
    means, variances = q
    z = (
        reach * torch.randn(5, 10, dtype=torch.double, generator=torch.Generator().manual_seed(3))
    ).requires_grad_()
    exponents = -0.5 * (
        (z[:, None] - means).square() / variances + (2 * math.pi * variances).log()
    ).sum(-1)
    assert (exponents.exp().sum(-1) == 0).all() == (reach > 1)
    theirs = torch.logsumexp(exponents, -1) - math.log(7)
    same_with_gradients(distributions.log_mixture(z, means, variances), theirs, means, variances, z)


def test_draw_has_the_mean_and_the_variance() -> None:
    noise = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(2))
    z = distributions.reparameterize(torch.tensor([3.0]), torch.tensor([4.0]), noise)
    assert z.mean().item() == pytest.approx(3, abs=0.03)
    assert z.var().item() == pytest.approx(4, rel=0.02)
