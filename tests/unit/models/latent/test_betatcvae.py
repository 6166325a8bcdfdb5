"""The total correlation against a loop, and the decomposition of the KL."""

import torch
from torch.distributions import Normal

from harness.plugins import registry
from harness.plugins.model import Batch
from models.latent.betatcvae import estimate_total_correlation
from tests.conftest import CellMaker, given


def posterior(images: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean, variance and draw of q(z|x): (images, 3) each."""
    random = torch.Generator().manual_seed(0)
    mean, noise = (torch.randn(images, 3, generator=random, dtype=torch.double) for _ in range(2))
    var = torch.rand(images, 3, generator=random, dtype=torch.double) + 0.1
    return mean, var, mean + var.sqrt() * noise


def test_the_total_correlation_is_that_of_the_batch() -> None:
    mean, var, z = posterior()
    for image, value in enumerate(estimate_total_correlation(z, mean, var)):
        p = Normal(mean, var.sqrt()).log_prob(z[image]).exp()
        expected = p.prod(-1).mean().log() - p.mean(0).log().sum()
        torch.testing.assert_close(value, expected)


def test_one_variable_has_none() -> None:
    mean, var, z = (part[:, :1] for part in posterior())
    torch.testing.assert_close(estimate_total_correlation(z, mean, var), torch.zeros(6).double())


def test_mutual_information_correlation_and_marginals_sum_to_the_kl() -> None:
    """Each estimated at the same draws; their sum is the one-sample KL (Chen et al., eq. 2)."""
    mean, var, z = posterior()
    q, prior = Normal(mean, var.sqrt()), Normal(0.0, 1.0)
    log_q_x = q.log_prob(z).sum(-1)
    by_pair = q.log_prob(z.unsqueeze(1)).exp()  # (image of the draw, image of q, dimension)
    log_q, log_marginals = by_pair.prod(-1).mean(1).log(), by_pair.mean(1).log()
    information = log_q_x - log_q
    of_dimensions = (log_marginals - prior.log_prob(z)).sum(-1)
    correlation = estimate_total_correlation(z, mean, var)
    kl = log_q_x - prior.log_prob(z).sum(-1)
    torch.testing.assert_close(information + correlation + of_dimensions, kl)


def test_the_bound_is_that_of_the_vae(cell: CellMaker) -> None:
    vae, ours = (registry.build(cell(name, seed=3)) for name in ("vae", "betatcvae"))
    x, noise = torch.rand(5, 784).round(), {"z": torch.randn(5, 10)}
    batch = Batch(x, x[:0], torch.zeros(0).long())
    found, expected = ours.terms(batch, noise), vae.terms(batch, noise)
    assert torch.equal(given(found.rec), given(expected.rec))
    assert torch.equal(given(found.kl), given(expected.kl))
    assert set(found.further) == {"tc"}
    assert dict(ours.eval().terms(batch, noise).further) == {}
