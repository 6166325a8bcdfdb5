"""The bound of log p(x|y) with torch's densities, image by image, and what is given classes."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from harness.data import loading
from harness.evaluation import digit_classifier, samples
from harness.evaluation.importance import iwae
from harness.experiment import seeding
from harness.plugins.metric import ScoreGenerator
from harness.plugins.model import Model, draw_noise
from harness.storage.store import Store
from tests.conftest import given
from tests.unit.model_checks import score, train_on_dots
from tests.unit.small_data import DOTS, make_cell


def test_the_bound_of_a_conditional_model_is_that_of_every_image_given_its_class(
    datasets: None,
) -> None:
    """`iwae` of images of two classes, with torch's densities, image by image and draw by draw."""
    model = train_on_dots("cvae")
    y = torch.arange(64) % 2
    found = finish(iwae.iwae(model, DOTS, (1, 7), {}, "iwae", y))  # type: ignore[arg-type]
    generator = seeding.evaluation_generator("iwae noise")
    draws = [draw_noise(model, 64, generator)["z"] for _ in range(7)]
    ratios = torch.tensor(
        [[log_ratio(model, DOTS[i], y[i], z[i]) for i in range(64)] for z in draws],
        dtype=torch.float64,
    )
    assert found["iwae_1"] == pytest.approx(-float(ratios[0].mean()), rel=1e-5)
    expected = math.log(7) - float(ratios.logsumexp(0).mean())
    assert found["iwae_7"] == pytest.approx(expected, rel=1e-5)
    other = finish(iwae.iwae(model, DOTS, (1, 7), {}, "iwae", 1 - y))  # type: ignore[arg-type]
    assert abs(other["iwae_7"] - found["iwae_7"]) > 1e-3


def log_ratio(model: Model, x: Tensor, y: Tensor, noise: Tensor) -> float:
    """log p(x, z|y) - log q(z|x, y) of one image (6,) of one class."""
    one_hot = (y == torch.arange(2)).float()
    with torch.no_grad():
        mean, var = model.encoder(torch.cat([x, one_hot]))  # type: ignore[operator]
        z = mean + var.sqrt() * noise
        logits = model.decoder(torch.cat([z, one_hot]))  # type: ignore[operator]
    likelihood = torch.distributions.Bernoulli(logits=logits)
    log_p = likelihood.log_prob(x).sum() + Normal(0.0, 1.0).log_prob(z).sum()
    return float(log_p - Normal(mean, var.sqrt()).log_prob(z).sum())


def test_reconstructions_of_a_conditional_model_are_given_the_classes(
    datasets: None,
) -> None:
    model, y = train_on_dots("cvae"), torch.arange(64) % 2
    sheet = given(samples.reconstruct_images(model, DOTS, 4, 5, y))
    noise = draw_noise(model, 10, seeding.evaluation_generator("reconstructions"))
    with torch.no_grad():
        expected = model.reconstruct(DOTS[:10], noise, y[:10])  # type: ignore[operator]
    assert torch.equal(sheet[[*range(5, 10), *range(15, 20)]], expected)
    assert not torch.equal(sheet, given(samples.reconstruct_images(model, DOTS, 4, 5, 1 - y)))


def finish(work: ScoreGenerator) -> Any:
    """The values of a score."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_any_number_of_classes_is_counted(
    datasets: None, tmp_path: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digit_classifier, "cache_folder", lambda: classifier)
    data, store = loading.load("made_up_letters"), Store(tmp_path / "results")
    digit_classifier.provide(store, data)
    row = score(make_cell("cvae", dataset="made_up_letters"), store, data)
    assert (row["status"], row["error"]) == ("ok", None)
    assert (len(row["digit_counts"]), sum(row["digit_counts"])) == (47, 200)
