"""The loss of the paper by a loop over classes and images, with torch's densities."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from torch.nn.functional import elu, softplus

from harness.plugins.dataset import Data
from harness.plugins.model import CLASSES, Batch
from harness.training.trainer import PackTrainer
from models.class_conditional import ClassConditional
from models.semi_supervised.m2 import M2
from models.ssvae import SSVAE
from tests.conftest import given
from tests.unit.small_data import TRAIN, make_cell

Z, IMAGES, LABELS = 5, 4, 43  # more labels than there are draws for 4 images of 10 classes


@pytest.fixture
def model() -> M2:
    torch.manual_seed(0)
    made = M2(z=Z, alpha=0.3).double()
    made.get_buffer("images").fill_(1000)
    return made


@pytest.fixture
def batch() -> Batch:
    random = torch.Generator().manual_seed(1)
    x, labelled = (
        torch.rand(n, 784, generator=random, dtype=torch.double).round() for n in (IMAGES, LABELS)
    )
    return Batch(x, labelled, torch.arange(LABELS) % CLASSES)


@pytest.fixture
def noise() -> dict[str, torch.Tensor]:
    return {"z": torch.randn(CLASSES, IMAGES, Z, dtype=torch.double)}


def with_class(net: ClassConditional, v: torch.Tensor, y: int) -> torch.Tensor:
    """One-hot y appended to v (size,): (output,)."""
    one_hot = torch.zeros(CLASSES, dtype=v.dtype)
    one_hot[y] = 1
    output: torch.Tensor = net.rest(elu(net.first(torch.cat([v, one_hot]))))
    return output


def bound(model: M2, x: torch.Tensor, y: int, noise: torch.Tensor) -> torch.Tensor:
    """L(x, y) of eq. 6 of one image, one number, with the KL in place of its sample."""
    mean, raw = with_class(model.encoder, x, y).chunk(2)
    q = Normal(mean, (softplus(raw) + 1e-8).sqrt())
    decoded = with_class(model.decoder, mean + q.scale * noise, y)
    kl = kl_divergence(q, Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum()
    bound: torch.Tensor = kl - Bernoulli(logits=decoded).log_prob(x).sum() + math.log(CLASSES)
    return bound


def test_the_loss_is_that_of_the_paper(
    model: M2, batch: Batch, noise: dict[str, torch.Tensor]
) -> None:
    q = Categorical(logits=model.classifier(batch.x))
    unlabelled = torch.stack(
        [
            sum(
                (
                    q.probs[i, y] * (bound(model, batch.x[i], y, noise["z"][y, i]) + q.logits[i, y])
                    for y in range(CLASSES)
                ),
                torch.zeros(()),
            )
            for i in range(IMAGES)
        ]
    )
    draws = [noise["z"][y, i] for y in range(CLASSES) for i in range(IMAGES)]
    labelled = torch.stack(
        [
            bound(model, x, int(y), draws[i % len(draws)])
            for i, (x, y) in enumerate(zip(batch.labelled, batch.targets, strict=True))
        ]
    ).mean()
    cross_entropy = (
        -Categorical(logits=model.classifier(batch.labelled)).log_prob(batch.targets).mean()
    )
    expected = unlabelled.mean() + LABELS / 1000 * labelled + 0.3 * cross_entropy
    terms = model.terms(batch, noise)
    ours = (given(terms.rec) + given(terms.kl)).mean() + given(terms.extra)
    torch.testing.assert_close(ours, expected)
    parameters = list(model.parameters())
    gradients, theirs = (torch.autograd.grad(each, parameters) for each in (ours, expected))
    for a, b in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_without_labels_it_is_the_bound_of_ssvae(
    model: M2, batch: Batch, noise: dict[str, torch.Tensor]
) -> None:
    ssvae = SSVAE(z=Z).double()
    ssvae.load_state_dict({n: v for n, v in model.state_dict().items() if n != "images"})
    none = Batch(batch.x, batch.x[:0], torch.zeros(0).long())
    ours, theirs = model.terms(none, noise), ssvae.terms(batch, noise)
    torch.testing.assert_close(given(ours.rec), given(theirs.rec))
    torch.testing.assert_close(given(ours.kl), given(theirs.kl))
    assert ours.extra is None


def test_the_number_of_training_images_is_that_of_the_data(data: Data) -> None:
    pack = PackTrainer([make_cell("m2", seed) for seed in (0, 1)], data)
    assert pack.extract_model(0).get_buffer("images").item() == TRAIN
