"""Two stages, each with the loss of its model, and the bound of both together."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from torch.nn.functional import elu, softplus

from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch
from harness.training.trainer import PackTrainer
from models.class_conditional import ClassConditional
from models.semi_supervised.m1m2 import M1M2
from tests.conftest import given
from tests.unit.small_data import TRAIN, make_cell

Z1, Z2, IMAGES, LABELS, CLASSES = 4, 3, 4, 13, 10
M1, M2 = ("encoder1", "decoder"), ("encoder2", "prior1", "classifier")


@pytest.fixture
def model() -> M1M2:
    torch.manual_seed(0)
    made = M1M2(z1=Z1, z2=Z2, alpha=0.3).double()
    made.get_buffer("images").fill_(1000)
    return made


@pytest.fixture
def noise() -> dict[str, torch.Tensor]:
    shapes = {"z1": (IMAGES, Z1), "z2": (CLASSES, IMAGES, Z2), "y": (IMAGES,)}
    return {name: torch.randn(shape, dtype=torch.double) for name, shape in shapes.items()}


def make_batch(step: float) -> Batch:
    random = torch.Generator().manual_seed(1)
    x, labelled = (
        torch.rand(n, 784, generator=random, dtype=torch.double).round() for n in (IMAGES, LABELS)
    )
    y = torch.arange(LABELS) % CLASSES
    return Batch(x, labelled, y, step=torch.tensor(step), total=torch.tensor(100.0))


def gaussian(outputs: torch.Tensor) -> Normal:
    mean, raw = outputs.chunk(2, -1)
    return Normal(mean, (softplus(raw) + 1e-8).sqrt())


def with_class(net: ClassConditional, v: torch.Tensor, y: int) -> torch.Tensor:
    one_hot = torch.zeros(len(v), CLASSES, dtype=v.dtype)
    one_hot[:, y] = 1
    output: torch.Tensor = net.rest(elu(net.first(torch.cat([v, one_hot], 1))))
    return output


def bound_m2(model: M1M2, z1: torch.Tensor, y: int, noise: torch.Tensor) -> torch.Tensor:
    """L(z1, y) of eq. 6: (n,)."""
    q = gaussian(with_class(model.encoder2, z1, y))
    z2 = q.mean + q.scale * noise
    log_p = gaussian(with_class(model.prior1, z2, y)).log_prob(z1).sum(1)
    prior = Normal(torch.zeros_like(q.mean), torch.ones_like(q.mean))
    bound: torch.Tensor = kl_divergence(q, prior).sum(1) - log_p + math.log(CLASSES)
    return bound


def draw_z1(model: M1M2, x: torch.Tensor, noise: torch.Tensor) -> tuple[Normal, torch.Tensor]:
    mean, var = model.encoder1(x)
    return Normal(mean, var.sqrt()), mean + var.sqrt() * noise


def unlabelled_m2(model: M1M2, z1: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """U(z1) of eq. 7 by a loop over classes: (n,)."""
    q = Categorical(logits=model.classifier(z1))
    by_class = [
        q.probs[:, y] * (bound_m2(model, z1, y, noise[y]) + q.logits[:, y]) for y in range(CLASSES)
    ]
    return torch.stack(by_class).sum(0)


def test_the_first_stage_is_a_vae(model: M1M2, noise: dict[str, torch.Tensor]) -> None:
    batch = make_batch(49)
    q, z1 = draw_z1(model, batch.x, noise["z1"])
    rec = -Bernoulli(logits=model.decoder(z1)).log_prob(batch.x).sum(1)
    kl = kl_divergence(q, Normal(torch.zeros_like(z1), torch.ones_like(z1))).sum(1)
    loss = given(model.terms(batch, noise).loss)
    torch.testing.assert_close(loss, (rec + kl).mean())
    loss.backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        is_trained = gradient is not None and bool((gradient != 0).any())
        assert is_trained == (name.split(".")[0] in M1), name


def test_the_second_stage_is_m2_on_draws_of_the_first(
    model: M1M2, noise: dict[str, torch.Tensor]
) -> None:
    batch = make_batch(50)
    _, z1 = draw_z1(model, batch.x, noise["z1"])
    unlabelled = unlabelled_m2(model, z1.detach(), noise["z2"]).mean()
    draws1, draws2 = noise["z1"], noise["z2"].flatten(0, 1)
    bounds, logits = [], []
    for i, (x, y) in enumerate(zip(batch.labelled, batch.targets, strict=True)):
        _, one = draw_z1(model, x[None], draws1[i % len(draws1)])
        bounds.append(bound_m2(model, one.detach(), int(y), draws2[i % len(draws2)]))
        logits.append(model.classifier(one.detach()))
    cross_entropy = -Categorical(logits=torch.cat(logits)).log_prob(batch.targets).mean()
    expected = unlabelled + LABELS / 1000 * torch.cat(bounds).mean() + 0.3 * cross_entropy
    loss = given(model.terms(batch, noise).loss)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        is_trained = gradient is not None and bool((gradient != 0).any())
        assert is_trained == (name.split(".")[0] in M2), name


def test_the_bound_is_that_of_both_together(model: M1M2, noise: dict[str, torch.Tensor]) -> None:
    batch = make_batch(50)
    q, z1 = draw_z1(model, batch.x, noise["z1"])
    terms = model.terms(batch, noise)
    rec = -Bernoulli(logits=model.decoder(z1)).log_prob(batch.x).sum(1)
    kl = q.log_prob(z1).sum(1) + unlabelled_m2(model, z1, noise["z2"])
    torch.testing.assert_close(given(terms.rec), rec)
    torch.testing.assert_close(given(terms.kl), kl)
    ratios = []
    for y in range(CLASSES):
        q2 = gaussian(with_class(model.encoder2, z1, y))
        z2 = q2.mean + q2.scale * noise["z2"][y]
        log_p = gaussian(with_class(model.prior1, z2, y)).log_prob(z1).sum(1) - math.log(CLASSES)
        log_p = log_p + Normal(0.0, 1.0).log_prob(z2).sum(1)
        ratios.append(log_p - q2.log_prob(z2).sum(1))
    expected = torch.stack(ratios).logsumexp(0) - q.log_prob(z1).sum(1) - rec
    torch.testing.assert_close(model.log_weight(batch.x, noise), expected)


def test_a_training_goes_through_both_stages(data: Data) -> None:
    """Of 20 steps the first ten move M1 alone, and the others M2, M1 by its last momentum only."""
    pack = PackTrainer([make_cell("m1m2", seed) for seed in (0, 1)], data)
    assert pack.extract_model(0).get_buffer("images").item() == TRAIN
    start = {name: value.clone() for name, value in pack.params.items()}
    for _ in range(10):
        pack.train_step()
    moved = {n.split(".")[0] for n, v in pack.params.items() if not torch.equal(v, start[n])}
    assert moved == set(M1)
    for _ in range(10):
        pack.train_step()
    moved = {n.split(".")[0] for n, v in pack.params.items() if not torch.equal(v, start[n])}
    assert moved == {*M1, *M2}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_stage_of_no_steps_is_refused(share: float, datasets: None) -> None:
    with pytest.raises(InputError, match="expected a share between 0 and 1"):
        registry.build(make_cell("m1m2", settings={"first_stage": share}))
