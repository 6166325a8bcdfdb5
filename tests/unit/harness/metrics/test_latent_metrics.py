"""Metrics of latent variables and of copies, on data whose answer is known."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from harness.evaluation.image_sampling import estimate_standard_error
from harness.metrics.active_units import count_active_units
from harness.metrics.knn_accuracy import predict_by_neighbours
from harness.metrics.linear_probe import PENALTY, fit_probe
from harness.metrics.memorisation import chance_below
from harness.metrics.neighbours import nearest_distances
from harness.plugins import registry
from harness.plugins.model import Batch, Encoding, Model


def test_a_dimension_is_active_where_its_mean_varies_enough() -> None:
    """Means ±s have the variance s² · n / (n - 1)."""
    signs = torch.tensor([1.0, -1.0] * 500, dtype=torch.float64)[:, None]
    assert count_active_units(signs * torch.tensor([0.0, 0.0999, 0.1001, 2.0])) == 2
    assert count_active_units(7 + 0 * signs) == 0


@pytest.mark.parametrize("name", ["vae", "gmvae"])
def test_the_shipped_models_encode_as_their_bound_does(name: str) -> None:
    torch.manual_seed(0)
    model, x = registry.lookup(name)(), torch.rand(5, 784).round()
    assert isinstance(model, Encoding)
    assert isinstance(model, Model)
    mean, var = model.encode(x)
    assert (mean.shape, var.shape) == ((5, 10), (5, 10))
    batch, noise = Batch(x, x[:0], torch.empty(0, dtype=torch.long)), {"z": torch.randn(5, 10)}
    rec = model.terms(batch, noise).rec
    decoder = model.decoder
    assert isinstance(decoder, nn.Module)
    logits = decoder(mean + var.sqrt() * noise["z"])
    expected = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    assert rec is not None
    assert torch.allclose(rec, expected, rtol=1e-5)


def test_the_standard_error_is_that_of_the_mean() -> None:
    values = torch.tensor([1.0, 2.0, 4.0, 9.0], dtype=torch.float64)
    assert estimate_standard_error(values) == pytest.approx(np.std(values.numpy(), ddof=1) / 2)
    assert estimate_standard_error(values[:1]) is None


def test_neighbours_vote_and_the_lowest_class_wins_a_tie() -> None:
    train = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [9.0]])
    classes = torch.tensor([2, 2, 1, 0, 1, 1])
    points = torch.tensor([[0.05], [5.0], [8.0]])
    assert predict_by_neighbours(train, classes, points, 3).tolist() == [2, 1, 1]
    assert predict_by_neighbours(train, classes, points[1:2], 2).tolist() == [0]


def test_the_probe_is_at_the_minimum_of_its_loss() -> None:
    """The gradient of the mean cross-entropy and the penalty, written out."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=generator, dtype=torch.float64)
    classes = (x[:, 0] + 0.5 * torch.randn(300, generator=generator) > 0).long() + (x[:, 1] > 1)
    with torch.inference_mode():
        weights = fit_probe(x, classes)
    inputs = torch.cat([x, torch.ones(300, 1, dtype=torch.float64)], 1)
    residual = (inputs @ weights).softmax(1) - nn.functional.one_hot(classes, 3)
    gradient = inputs.T @ residual / 300
    gradient[:-1] += PENALTY * weights[:-1]
    assert float(gradient.abs().max()) < 1e-5
    accuracy = ((inputs @ weights).argmax(1) == classes).double().mean()
    assert float(accuracy) > 0.7


def test_the_chance_of_being_below_counts_ties_half() -> None:
    generator = np.random.default_rng(0)
    a, b = (torch.tensor(generator.integers(0, 6, size), dtype=torch.float32) for size in (40, 30))
    pairs = [float(x < y) + float(x == y) / 2 for x, y in itertools.product(a, b)]
    assert chance_below(a, b) == pytest.approx(np.mean(pairs))


def test_copies_of_training_images_are_nearer_than_test_images() -> None:
    generator = torch.Generator().manual_seed(0)
    train = torch.rand(600, 50, generator=generator).round()
    test, fresh = (torch.rand(200, 50, generator=generator).round() for _ in range(2))
    away = nearest_distances(test, train)
    direct = [(train - image).abs().sum(1).min() for image in test]
    assert away.tolist() == [float(distance) for distance in direct]
    assert chance_below(nearest_distances(train[:200], train), away) == 1.0
    assert abs(chance_below(nearest_distances(fresh, train), away) - 0.5) < 0.12
