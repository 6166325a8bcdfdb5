"""The discrepancy against a loop over pairs, and the loss of InfoVAE."""

import pytest
import torch
from torch import Tensor

from harness.plugins import registry
from harness.plugins.model import Batch
from models.latent.mmdvae import SCALES, estimate_mmd
from tests.conftest import CellMaker, given


def kernel(a: Tensor, b: Tensor) -> float:
    constants = [2 * len(a) * scale for scale in SCALES]
    return sum(c / (c + float((a - b).square().sum())) for c in constants)


def test_the_discrepancy_is_that_of_all_pairs() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(5, 3, generator=random, dtype=torch.double) for _ in range(2))
    pairs = [(i, j) for i in range(5) for j in range(5)]
    within = sum(kernel(s[i], s[j]) for s in (a, b) for i, j in pairs if i != j) / 20
    between = sum(kernel(a[i], b[j]) for i, j in pairs) / 25
    assert float(estimate_mmd(a, b)) == pytest.approx(within - 2 * between)


def test_samples_of_one_distribution_have_none_on_average() -> None:
    random = torch.Generator().manual_seed(0)
    same = [estimate_mmd(*torch.randn(2, 50, 4, generator=random)) for _ in range(200)]
    mean, error = torch.stack(same).mean(), torch.stack(same).std() / 200**0.5
    assert abs(mean) < 4 * error
    shifted = estimate_mmd(torch.randn(50, 4, generator=random), 1 + torch.randn(50, 4))
    assert shifted > 20 * error


@pytest.mark.parametrize(("alpha", "weight"), [(0.5, 100.0), (0.0, 1.0), (1.0, 10.0)])
def test_the_loss_is_that_of_infovae(alpha: float, weight: float, cell: CellMaker) -> None:
    settings = {"alpha": alpha, "mmd_weight": weight}
    model = registry.build(cell("mmdvae", seed=3, settings=settings))
    vae = registry.build(cell("vae", seed=3))
    x, noise = torch.rand(5, 784).round(), {"z": torch.randn(5, 10), "prior": torch.randn(5, 10)}
    batch = Batch(x, x[:0], torch.zeros(0).long())
    terms, expected = model.terms(batch, noise), vae.terms(batch, noise)
    rec, kl = given(expected.rec), given(expected.kl)
    assert torch.equal(given(terms.rec), rec)
    assert torch.equal(given(terms.kl), kl)
    mean, var = vae.encode(x)  # type: ignore[operator]
    mmd = estimate_mmd(mean + var.sqrt() * noise["z"], noise["prior"])
    loss = rec + (1 - alpha) * kl + (alpha + weight - 1) * mmd
    torch.testing.assert_close(rec + kl + given(terms.extra), loss)
    assert model.eval().terms(batch, noise).extra is None
