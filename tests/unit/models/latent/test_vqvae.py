"""The codes, their moving averages and their prior against direct computations."""

import itertools
from dataclasses import replace

import pytest
import torch

from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import draw_noise, scored_batch
from harness.training.conformance import contract
from harness.training.trainer import PackTrainer
from tests.conftest import given
from tests.unit.model_checks import DOT_STEPS, train_on_dots
from tests.unit.small_data import DOTS, make_cell

NONE = torch.zeros(0).long()


def test_the_prior_gives_all_codes_together_one(datasets: None) -> None:
    model = train_on_dots("vqvae")
    z = torch.tensor(list(itertools.product(range(4), repeat=2)))
    chosen = torch.nn.functional.one_hot(z, 4).float()
    with torch.inference_mode():
        log_p = (chosen * model._score_codes(chosen)).sum((-1, -2))  # type: ignore[operator]
    assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_the_kl_is_that_of_the_nearest_codes_from_the_prior(datasets: None) -> None:
    """Position by position, with the prior's logits for the codes before alone."""
    model = train_on_dots("vqvae")
    terms = model.terms(scored_batch(model, DOTS, torch.zeros(64).long()), {})
    with torch.inference_mode():
        h = model.encoder(DOTS).unflatten(-1, (2, 8))  # type: ignore[operator]
        z = (h.unsqueeze(2) - model.codebook).square().sum(-1).argmin(-1)
        expected = torch.zeros(64)
        before = torch.zeros(64, 2, 4)
        for i in range(2):
            logits = model.prior(before.flatten(1)).unflatten(-1, (2, 4))[:, i]  # type: ignore[operator]
            expected -= torch.distributions.Categorical(logits=logits).log_prob(z[:, i])
            before[torch.arange(64), i, z[:, i]] = 1
    torch.testing.assert_close(given(terms.kl), expected)


def test_samples_have_the_codes_of_the_prior(datasets: None) -> None:
    """The share of each pair of codes among many samples, which their images identify."""
    model = train_on_dots("vqvae")
    z = torch.tensor(list(itertools.product(range(4), repeat=2)))
    chosen = torch.nn.functional.one_hot(z, 4).float()
    n = 20_000
    with torch.inference_mode():
        p = (chosen * model._score_codes(chosen)).sum((-1, -2)).exp()  # type: ignore[operator]
        of_codes = model.decoder((chosen @ model.codebook).flatten(-2)).sigmoid()  # type: ignore[operator]
        x = model.sample(draw_noise(model, n, torch.Generator().manual_seed(0)))
    nearest = (x.unsqueeze(1) - of_codes).square().sum(-1).argmin(-1)
    share = torch.bincount(nearest, minlength=16) / n
    assert ((share - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-4).all()


def test_the_counts_are_a_moving_average(datasets: None) -> None:
    model = train_on_dots("vqvae")
    faded = 0.99**DOT_STEPS  # of the first count, 1 a code; a batch has 40 images of 2 codes each
    count = model.get_buffer("count").sum().item()
    assert count == pytest.approx(4 * faded + 80 * (1 - faded), rel=1e-3)


def test_a_codebook_may_be_trained_by_its_own_term_of_the_loss(
    data: Data,
) -> None:
    cell = make_cell("vqvae", settings={"ema": False, "codes": 4, "positions": 2})
    assert [fault for _, fault in contract.run_checks(cell) if fault] == []
    pack = PackTrainer([cell, replace(cell, seed=1)], data)
    before = pack.params["codebook"].clone()
    pack.train_step()
    assert not torch.equal(pack.params["codebook"], before)
    model = registry.build(cell)
    assert {"codebook", "count", "total"}.isdisjoint(dict(model.named_buffers()))
    x = data.test_x[:10].float() / 255
    given(model.terms(scored_batch(model, x, data.test_y[:10]), {}).loss).sum().backward()
    with torch.no_grad():
        h, code, _ = model._quantise(x)  # type: ignore[operator]
    codebook = model.codebook
    expected = torch.zeros(4, 8)
    for vector, chosen in zip(h.flatten(0, 1), code.flatten(0, 1), strict=True):
        nearest = int((codebook - chosen).square().sum(-1).argmin())
        expected[nearest] += 2 * (chosen - vector)
    torch.testing.assert_close(codebook.grad, expected)
