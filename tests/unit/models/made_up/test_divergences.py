"""The terms by which `mmdvae` and `hvae` differ from a `vae`, by direct computations."""

import math

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from harness.plugins import registry
from harness.plugins.model import Model, draw_noise, scored_batch
from models.latent.mmdvae import SCALES, estimate_mmd
from tests.conftest import given
from tests.unit.models.made_up.conftest import ExampleCell

IMAGES = torch.tensor(
    [[0.0, 1, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 0, 0]]
)
CLASSES = torch.zeros(4, dtype=torch.long)


def build(example: ExampleCell, name: str, **settings: float) -> Model:
    return registry.build(example(name, dataset="made_up_dots", settings=settings))


@drawn(st.integers(2, 6), st.integers(1, 4), st.integers(0, 99))
def test_the_discrepancy_is_that_of_all_pairs(n: int, z: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, z, generator=generator, dtype=torch.float64) for _ in range(2))

    def kernel(u: Tensor, v: Tensor) -> float:
        constants = [2 * z * scale for scale in SCALES]
        return sum(c / (c + float((u - v).square().sum())) for c in constants)

    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    within = sum(kernel(a[i], a[j]) + kernel(b[i], b[j]) for i, j in pairs) / (n * (n - 1))
    across = sum(kernel(u, v) for u in a for v in b) / n**2
    assert float(estimate_mmd(a, b)) == pytest.approx(within - 2 * across, abs=1e-9)


def test_the_discrepancy_tells_a_shift_from_the_same_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(400, 3, generator=generator), torch.randn(400, 3, generator=generator)
    assert abs(float(estimate_mmd(a, b))) < 0.02
    assert float(estimate_mmd(a, b + 1)) > 0.2


def test_the_loss_of_mmdvae_is_that_of_infovae(example: ExampleCell) -> None:
    """rec + (1 - α) KL + (α + λ - 1) MMD²; with α = 0 and λ = 1 it is the bound of a `vae`."""
    model = build(example, "mmdvae", z=2, alpha=0.25, mmd_weight=3.0)
    noise = draw_noise(model, 4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        terms = model.terms(scored_batch(model, IMAGES, CLASSES), noise)
        mean, var = model.encoder(IMAGES)  # type: ignore[operator]
    kl = kl_divergence(Normal(mean, var.sqrt()), Normal(0.0, 1.0)).sum(-1)
    mmd = estimate_mmd(mean + var.sqrt() * noise["z"], noise["prior"])
    torch.testing.assert_close(given(terms.kl), kl)
    torch.testing.assert_close(given(terms.extra), 2.25 * mmd - 0.25 * kl)
    plain = build(example, "mmdvae", z=2, alpha=0.0, mmd_weight=1.0)
    with torch.no_grad():
        extra = given(plain.terms(scored_batch(plain, IMAGES, CLASSES), noise).extra)
    assert extra.abs().max() == 0
    assert plain.eval().terms(scored_batch(plain, IMAGES, CLASSES), noise).extra is None


def test_free_bits_hold_the_kl_of_each_level(example: ExampleCell) -> None:
    """The loss has max(KL, free nats) of each level; of fresh weights one is above, one below."""
    model = build(example, "hvae", z1=2, z2=2, free_nats=0.0)
    noise = draw_noise(model, 4, torch.Generator().manual_seed(1))
    batch = scored_batch(model, IMAGES, CLASSES)
    with torch.no_grad():
        terms = model.terms(batch, noise)
        mean2, var2 = model.encoder2(IMAGES)  # type: ignore[operator]
        z2 = mean2 + var2.sqrt() * noise["z2"]
        mean1, var1 = model.encoder1(torch.cat([IMAGES, z2], -1))  # type: ignore[operator]
        prior_mean, prior_var = model.prior1(z2)  # type: ignore[operator]
    level2 = kl_divergence(Normal(mean2, var2.sqrt()), Normal(0.0, 1.0)).sum(-1)
    level1 = kl_divergence(Normal(mean1, var1.sqrt()), Normal(prior_mean, prior_var.sqrt())).sum(-1)
    torch.testing.assert_close(given(terms.kl), level1 + level2)
    means = [float(level1.mean()), float(level2.mean())]
    free = sum(means) / 2
    model = build(example, "hvae", z1=2, z2=2, free_nats=free)
    with torch.no_grad():
        extra = given(model.terms(batch, noise).extra)
    assert float(extra) == pytest.approx(free - min(means), abs=1e-5)
    assert model.eval().terms(batch, noise).extra is None


def test_a_second_level_that_says_nothing_leaves_a_vae(example: ExampleCell) -> None:
    """With q(z2|x) = p(z2) and p(z1|z2) = N(0, I) the bound is that of one level."""
    model = build(example, "hvae", z1=2, z2=2).eval()
    standard = torch.tensor([0.0, 0.0, *[math.log(math.expm1(1 - 1e-8))] * 2])
    with torch.no_grad():
        for part in (model.encoder2, model.prior1):
            last = part.net[-1]  # type: ignore[union-attr,index]
            last.weight.zero_()  # type: ignore[union-attr]
            last.bias.copy_(standard)  # type: ignore[union-attr]
        noise = draw_noise(model, 4, torch.Generator().manual_seed(1))
        terms = model.terms(scored_batch(model, IMAGES, CLASSES), noise)
        mean, var = model.encoder1(torch.cat([IMAGES, noise["z2"]], -1))  # type: ignore[operator]
    expected = kl_divergence(Normal(mean, var.sqrt()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(given(terms.kl), expected, rtol=1e-4, atol=1e-4)


def test_a_vampprior_of_one_pseudo_input_has_one_gaussian(example: ExampleCell) -> None:
    model = build(example, "vampprior", z=2, k=1)
    noise = draw_noise(model, 4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        terms = model.terms(scored_batch(model, IMAGES, CLASSES), noise)
        mean, var = model.encoder(IMAGES)  # type: ignore[operator]
        prior_mean, prior_var = model._components()  # type: ignore[operator]
    z = mean + var.sqrt() * noise["z"]
    q, p = Normal(mean, var.sqrt()), Normal(prior_mean, prior_var.sqrt())
    torch.testing.assert_close(given(terms.kl), (q.log_prob(z) - p.log_prob(z)).sum(-1))
