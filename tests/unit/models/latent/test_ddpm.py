"""The discretised normal and the posterior of a step against direct computations."""

import pytest
import torch

from harness.plugins import registry
from models.latent.ddpm import discretized_normal_nll
from tests.unit.small_data import make_cell


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_the_discretised_normal_gives_all_levels_together_one(
    levels: int,
) -> None:
    x = torch.linspace(-1, 1, levels).unsqueeze(-1)
    for mean, sd in ((0.3, 0.1), (-2.0, 0.5), (5.0, 0.2)):
        log_p = -discretized_normal_nll(
            x, torch.tensor([mean]), torch.tensor([sd**2]), 1 / (levels - 1)
        )
        assert log_p.isfinite().all()
        assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-4)


def test_the_posterior_of_diffusion_is_that_of_bayes(datasets: None) -> None:
    """q(x_(t-1)|x_t, x) from q(x_t|x_(t-1)) and q(x_(t-1)|x)."""
    model = registry.build(make_cell("ddpm", settings={"steps": 8}))
    x_t, x = torch.tensor([0.4, -1.2]), torch.tensor([1.0, -1.0])
    for t in range(2, 9):
        before, beta = model.get_buffer("kept")[t - 1], model.get_buffer("beta")[t]
        precision = (1 - beta) / beta + 1 / (1 - before)
        sum_of_weighted = (1 - beta).sqrt() * x_t / beta + before.sqrt() * x / (1 - before)
        mean, var = model._posterior(x_t, x, t)  # type: ignore[operator]
        torch.testing.assert_close(var, 1 / precision, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(mean, sum_of_weighted / precision, rtol=1e-3, atol=1e-4)
