"""Likelihoods against direct computations, and their sums over all values."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.plugins.dataset import DataSpec, Kind
from models.likelihoods import DiscretizedLogistic, Likelihood, make_likelihood

LEVELS = 17
SPECS = {kind: DataSpec((1, 2, 3), kind, LEVELS) for kind in ("binary", "ordinal", "continuous")}
DISCRETE = (("bernoulli", "binary"), ("logistic", "ordinal"), ("categorical", "ordinal"))
ALL = (*DISCRETE, ("gaussian", "continuous"), ("gaussian:0.5", "continuous"))
RAW = st.floats(-6, 6, width=32)


def make(name: str, kind: Kind) -> Likelihood:
    return make_likelihood(name, SPECS[kind])


def levels_of(kind: str) -> torch.Tensor:
    return torch.tensor([0.0, 1.0]) if kind == "binary" else torch.linspace(0, 1, LEVELS)


@pytest.mark.parametrize(("name", "kind"), DISCRETE)
@settings(max_examples=30, deadline=None)
@given(values=st.lists(RAW, min_size=LEVELS, max_size=LEVELS))
def test_the_probabilities_of_all_levels_sum_to_one(
    name: str, kind: Kind, values: list[float]
) -> None:
    one = make(name, kind)
    raw = torch.tensor(values[: one.parameters]).double()
    x = levels_of(kind).double().unsqueeze(-1)
    probabilities = (-one.nll(raw.expand(len(x), -1), x)).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_dimensions_are_independent(name: str, kind: Kind) -> None:
    one, generator = make(name, kind), torch.Generator().manual_seed(0)
    raw = torch.randn(4, 6, one.parameters, generator=generator)
    x = levels_of(kind)[torch.randint(2, (4, 6), generator=generator)]
    flat = raw if name == "categorical" else raw.transpose(1, 2)
    together = one.nll(flat.flatten(1), x)
    alone = torch.stack([one.nll(raw[:, d], x[:, d : d + 1]) for d in range(6)], -1)
    torch.testing.assert_close(together, alone.sum(-1))


@pytest.mark.parametrize(("location", "log_scale"), [(0.2, -1.0), (0.9, -4.0), (-0.3, 0.5)])
def test_the_logistic_is_scipys(location: float, log_scale: float) -> None:
    one = DiscretizedLogistic(256)
    raw = torch.tensor([location - 0.5, log_scale + 2]).double()
    x = torch.linspace(0, 1, 256).double()
    law = scipy.stats.logistic(location, math.exp(log_scale))
    edges = (np.arange(255) + 0.5) / 255
    expected = np.diff(np.concatenate([[0], law.cdf(edges), [1]]))
    found = (-one.nll(raw.expand(256, -1), x.unsqueeze(-1))).exp().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-12)


def test_the_gaussian_is_scipys() -> None:
    x, mean = torch.tensor([[0.3, -1.0]]).double(), torch.tensor([[0.1, 0.4]]).double()
    expected = -scipy.stats.norm(mean.numpy(), 0.5).logpdf(x.numpy()).sum()
    assert make("gaussian:0.5", "continuous").nll(mean, x).item() == pytest.approx(expected)
    raw_variance = torch.tensor([[0.2, -0.7]]).double()
    sd = torch.nn.functional.softplus(raw_variance).sqrt().numpy()
    expected = -scipy.stats.norm(mean.numpy(), sd).logpdf(x.numpy()).sum()
    raw = torch.cat([mean, raw_variance], -1)
    assert make("gaussian", "continuous").nll(raw, x).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("sd", [0.05, 0.5])
def test_the_dequantised_gaussian_is_scipys_density_of_levels(sd: float) -> None:
    """In the unit of a level, where y = level + u - 1/2; and its mean over u bounds -log P."""
    one, steps = make(f"gaussian_dequantised:{sd}", "ordinal"), LEVELS - 1
    mean = torch.tensor([[0.1, 0.4]]).double()
    law = scipy.stats.norm(steps * mean.numpy(), steps * sd)
    level = np.array([[3.0, 7.0]])
    u = (np.arange(2000)[:, None] + 0.5) / 2000
    y = level + u - 0.5
    found = one.nll(mean, torch.from_numpy(y / steps)).numpy()
    np.testing.assert_allclose(found, -law.logpdf(y).sum(-1), rtol=1e-9)
    probability = (law.cdf(level + 0.5) - law.cdf(level - 0.5)).prod()
    assert found.mean() > -math.log(probability)
    if sd == 0.5:  # the density hardly varies over a level
        assert found.mean() == pytest.approx(-math.log(probability), abs=0.01)


def test_values_of_the_dequantised_gaussian_are_levels_that_images_have() -> None:
    one = make("gaussian_dequantised", "ordinal")
    raw = torch.tensor([[-3.0, 0.5, 4.0, 0.1, 0.1, 0.1]]).expand(1000, -1)
    uniform = torch.rand(1000, 3, generator=torch.Generator().manual_seed(0))
    assert one.mean(raw)[0].tolist() == [0.0, 0.5, 1.0]
    levels = one.sample(raw, uniform) * (LEVELS - 1)
    torch.testing.assert_close(levels, levels.round())
    assert float(levels.min()) == 0
    assert float(levels.max()) == LEVELS - 1
    assert float(levels[:, 1].mean()) == pytest.approx(8, abs=0.8)


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_draws_have_the_probabilities_of_the_likelihood(name: str, kind: Kind) -> None:
    one, count = make(name, kind), 40_000
    raw = torch.linspace(-0.4, 0.3, one.parameters).expand(count, -1)
    uniform = torch.rand(count, 1, generator=torch.Generator().manual_seed(1)).clamp(1e-6, 1 - 1e-6)
    draws = one.sample(raw, uniform).squeeze(-1)
    if kind == "continuous":
        mean, error = one.mean(raw)[0].item(), 4 * draws.std().item() / count**0.5
        assert draws.mean().item() == pytest.approx(mean, abs=error)
        return
    levels = levels_of(kind)
    probabilities = (-one.nll(raw[: len(levels)], levels.unsqueeze(-1))).exp()
    shares = torch.stack([(draws - level).abs().lt(1e-4).float().mean() for level in levels])
    assert shares.sum().item() == pytest.approx(1)
    torch.testing.assert_close(shares, probabilities, atol=0.012, rtol=0)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (
            "bernoulli",
            "ordinal",
            "likelihood 'bernoulli' is for binary data, and these are ordinal",
        ),
        ("logistic", "binary", "expected bernoulli"),
        ("gaussian", "ordinal", "expected logistic or categorical or gaussian_dequantised"),
        ("gaussian_dequantised", "binary", "is for ordinal data, and these are binary"),
        ("gaussian_dequantised:0", "ordinal", "standard deviation '0'; expected a number above 0"),
        ("poisson", "binary", "no likelihood 'poisson'; expected auto, bernoulli"),
        ("logistic:2", "ordinal", "no likelihood 'logistic:2'"),
        ("gaussian:0", "continuous", "standard deviation '0'; expected a number above 0"),
        ("gaussian:x", "continuous", "standard deviation 'x'"),
    ],
)
def test_a_likelihood_that_does_not_fit_is_refused(name: str, kind: Kind, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, kind)


def test_auto_follows_the_kind() -> None:
    names = {kind: make_likelihood("auto", spec).name for kind, spec in SPECS.items()}
    assert names == {"binary": "bernoulli", "ordinal": "logistic", "continuous": "gaussian"}
