"""The numbers of the examples are what they say, by sums over all images of six binary pixels."""

import itertools
import math
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal
from torch.func import jacrev, vmap

from harness.data import loading
from harness.evaluation import iwae, samples
from harness.experiment import seeding
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.metric import ScoreGenerator
from harness.plugins.model import (
    ImportanceWeighted,
    Model,
    draw_noise,
    own_draws_of,
    scored_batch,
    weigh_images,
)
from harness.training.trainer import PackTrainer
from tests.conftest import given
from tests.unit.models.made_up.conftest import NAMES, ExampleCell

IMAGES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)))
DRAWS, STEPS = 200, 60
# few latent variables, so that the mean over draws is precise
SMALL = {
    "z": 2,
    "z1": 2,
    "z2": 2,
    "k": 3,
    "flows": 3,
    "positions": 2,
    "codes": 4,
    "steps": 8,
    "free_nats": 0.0,
}
EXACT, UNBOUNDED = {"made", "pixelcnn"}, {"gan", "wae_mmd"}
# its parts are means over the batch, so there is no number of one image
BATCHED = {"pythae_model"}
# bounds that such a short training leaves far from log p(x): the smallest sum of exp(-NELBO)
LOOSE = {"vqvae": 0.3, "ddpm": 1e-4, "m1m2": 0.05}
# M1 is not trained on p(z1|y,z2), so importance weights of the stack have heavy tails
SPREAD = {"m1m2": 0.3}


def train(example: ExampleCell, name: str) -> Model:
    """A model that knows a little about images of 2 × 3 pixels."""
    model = example(name).model
    known = registry.cards()[model].defaults
    settings = {key: value for key, value in SMALL.items() if key in known}
    cell = example(name, dataset="made_up_dots", settings=settings, learning_rate=3e-3)
    pack = PackTrainer([cell], loading.load("made_up_dots"))
    for _ in range(STEPS):
        pack.train_step()
    return pack.extract_model(0)


def module_of(example: ExampleCell, name: str) -> ModuleType:
    example(name)
    return sys.modules[registry.lookup(name).__module__]


def score_all(model: Model) -> Tensor:
    """The NELBO or exact -log p of every image, the mean over draws: (64,), nats."""
    x = IMAGES.repeat(DRAWS, 1)
    noise = draw_noise(model, len(x), torch.Generator().manual_seed(0))
    with torch.inference_mode(), own_draws_of(model, 0):
        terms = model.terms(scored_batch(model, x, torch.zeros(len(x)).long()), noise)
    nats = terms.nll if terms.nll is not None else given(terms.rec) + given(terms.kl)
    mean: Tensor = nats.unflatten(0, (DRAWS, -1)).mean(0)
    return mean


@pytest.mark.parametrize("name", sorted(set(NAMES) - EXACT - UNBOUNDED - BATCHED))
def test_a_bound_gives_all_images_together_less_than_one(name: str, example: ExampleCell) -> None:
    """exp(-NELBO) is at most p(x), whose sum is 1; without its KL a bound would exceed it.

    The mean importance weight of an image is p(x).
    """
    model = train(example, name)
    total = float((-score_all(model)).exp().sum())
    assert LOOSE.get(name, 0.5) < total < 1.02
    if isinstance(model, ImportanceWeighted):
        assert sum_weights(model) == pytest.approx(1.0, abs=SPREAD.get(name, 0.05))


def sum_weights(model: Model) -> float:
    """The mean importance weight over draws, summed over all images."""
    assert isinstance(model, ImportanceWeighted)
    x = IMAGES.repeat(DRAWS, 1)
    noise = draw_noise(model, len(x), torch.Generator().manual_seed(0))
    with torch.inference_mode():
        weights = weigh_images(model, x, noise, torch.zeros(len(x)).long()).exp()
        return float(weights.sum()) / DRAWS


def test_the_bound_of_a_conditional_model_is_that_of_every_image_given_its_class(
    example: ExampleCell,
) -> None:
    """`iwae` of images of two classes, with torch's densities, image by image and draw by draw."""
    model = train(example, "cvae")
    y = torch.arange(64) % 2
    found = finish(iwae.iwae(model, IMAGES, (1, 7), {}, "iwae", y))  # type: ignore[arg-type]
    generator = seeding.evaluation_generator("iwae noise")
    draws = [draw_noise(model, 64, generator)["z"] for _ in range(7)]
    ratios = torch.tensor(
        [[log_ratio(model, IMAGES[i], y[i], z[i]) for i in range(64)] for z in draws],
        dtype=torch.float64,
    )
    assert found["iwae_1"] == pytest.approx(-float(ratios[0].mean()), rel=1e-5)
    expected = math.log(7) - float(ratios.logsumexp(0).mean())
    assert found["iwae_7"] == pytest.approx(expected, rel=1e-5)
    other = finish(iwae.iwae(model, IMAGES, (1, 7), {}, "iwae", 1 - y))  # type: ignore[arg-type]
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
    example: ExampleCell,
) -> None:
    model, y = train(example, "cvae"), torch.arange(64) % 2
    sheet = given(samples.reconstruct_images(model, IMAGES, 4, 5, y))
    noise = draw_noise(model, 10, seeding.evaluation_generator("reconstructions"))
    with torch.no_grad():
        expected = model.reconstruct(IMAGES[:10], noise, y[:10])  # type: ignore[operator]
    assert torch.equal(sheet[[*range(5, 10), *range(15, 20)]], expected)
    assert not torch.equal(sheet, given(samples.reconstruct_images(model, IMAGES, 4, 5, 1 - y)))


def finish(work: ScoreGenerator) -> Any:
    """The values of a score."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("name", sorted(EXACT))
def test_an_exact_likelihood_gives_all_images_together_one(name: str, example: ExampleCell) -> None:
    model = train(example, name)
    assert float((-score_all(model)).exp().sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_a_sample_is_drawn_from_the_conditionals(name: str, example: ExampleCell) -> None:
    """Each pixel is 1 where its number is below the probability, given the pixels before it."""
    model = train(example, name)
    noise = draw_noise(model, 200, torch.Generator().manual_seed(1))
    uniform = torch.special.ndtr(noise["pixels"]).flatten(1)
    with torch.inference_mode():
        x = model.sample(noise)
        ones, zeros = (
            torch.stack([nll_of(model, set_pixel(x, i, value)) for i in range(6)], 1)
            for value in (1.0, 0.0)
        )
    # p(x_i = 1 | x_<i) from the images cut off behind pixel i, see `set_pixel`
    assert torch.equal(x, (uniform < (zeros - ones).sigmoid()).float())


def set_pixel(x: Tensor, place: int, value: float) -> tuple[Tensor, int]:
    changed = x.clone()
    changed[:, place] = value
    return changed, place


def nll_of(model: Model, changed: tuple[Tensor, int]) -> Tensor:
    """-log p(x_1..x_i) of each image: a sum over all pixels behind pixel i, (batch,)."""
    x, place = changed
    rest = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5 - place)))
    full = torch.cat(
        [x[:, None, : place + 1].expand(-1, len(rest), -1), rest.expand(len(x), -1, -1)], -1
    )
    nll = given(model.terms(scored_batch(model, full.flatten(0, 1), torch.zeros(0).long()), {}).nll)
    together: Tensor = (-nll.unflatten(0, (len(x), -1))).logsumexp(1)
    return -together


def test_the_determinants_of_flows_are_those_of_their_jacobians(example: ExampleCell) -> None:
    random = torch.Generator().manual_seed(0)
    z, u, w = (3 * torch.randn(8, 5, generator=random) for _ in range(3))
    b = torch.randn(8, 1, generator=random)
    planar = module_of(example, "planar_flow").apply_planar
    compare_determinants(lambda z, u, w, b: planar(z, u, w, b), (z, u, w, b))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        step = module_of(example, "iaf").AutoregressiveStep(5, 4, 20)
        torch.nn.init.normal_(step.last.weight)
    context = torch.randn(8, 4, generator=random)
    compare_determinants(lambda z, context: step(z, context), (z, context))


def compare_determinants(flow: object, inputs: tuple[Tensor, ...]) -> None:
    """The second output of a flow of z, the first input, against the Jacobian of the first."""
    assert callable(flow)
    with torch.no_grad():
        log_det = flow(*inputs)[1]
        jacobian = vmap(jacrev(lambda *one: flow(*(part.unsqueeze(0) for part in one))[0][0]))(
            *inputs
        )
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian)[1], rtol=1e-3, atol=1e-3)


def test_the_total_correlation_is_that_of_the_batch(example: ExampleCell) -> None:
    estimate = module_of(example, "betatcvae").estimate_total_correlation
    random = torch.Generator().manual_seed(0)
    mean, z = torch.randn(6, 3, generator=random), torch.randn(6, 3, generator=random)
    var = torch.rand(6, 3, generator=random) + 0.1
    for image, value in enumerate(estimate(z, mean, var)):
        p = Normal(mean, var.sqrt()).log_prob(z[image]).exp()
        expected = p.prod(-1).mean().log() - p.mean(0).log().sum()
        assert value.item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_the_discretised_normal_gives_all_levels_together_one(
    levels: int, example: ExampleCell
) -> None:
    nll = module_of(example, "ddpm").discretized_normal_nll
    x = torch.linspace(-1, 1, levels).unsqueeze(-1)
    for mean, sd in ((0.3, 0.1), (-2.0, 0.5), (5.0, 0.2)):
        log_p = -nll(x, torch.tensor([mean]), torch.tensor([sd**2]), 1 / (levels - 1))
        assert log_p.isfinite().all()
        assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-4)


def test_the_posterior_of_diffusion_is_that_of_bayes(example: ExampleCell) -> None:
    """q(x_(t-1)|x_t, x) from q(x_t|x_(t-1)) and q(x_(t-1)|x)."""
    model = registry.build(example("ddpm", settings={"steps": 8}))
    x_t, x = torch.tensor([0.4, -1.2]), torch.tensor([1.0, -1.0])
    for t in range(2, 9):
        before, beta = model.get_buffer("kept")[t - 1], model.get_buffer("beta")[t]
        precision = (1 - beta) / beta + 1 / (1 - before)
        sum_of_weighted = (1 - beta).sqrt() * x_t / beta + before.sqrt() * x / (1 - before)
        mean, var = model._posterior(x_t, x, t)  # type: ignore[operator]
        torch.testing.assert_close(var, 1 / precision, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(mean, sum_of_weighted / precision, rtol=1e-3, atol=1e-4)


def test_the_generator_climbs_where_the_critic_descends(example: ExampleCell) -> None:
    """The gradient of the generator is that of the critic's loss, turned round."""
    cell = example("gan", dataset="made_up_colour")
    model = registry.build(cell)
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.rand(8, 192, generator=generator), draw_noise(model, 8, generator)
    weight = model.generator[0].weight  # type: ignore[index,union-attr]
    batch = scored_batch(model, x, torch.zeros(8).long())
    loss = given(model.terms(batch, noise).loss)
    fake = torch.nn.functional.softplus(model.critic(model.sample(noise)))  # type: ignore[operator]
    (ours,) = torch.autograd.grad(loss.sum(), [weight])
    (plain,) = torch.autograd.grad(fake.sum(), [weight])
    torch.testing.assert_close(ours, -plain)


def test_the_weight_of_the_kl_rises_in_every_cycle(example: ExampleCell) -> None:
    model = registry.build(example("warm_up", settings={"cycles": 2, "rising": 0.5}))
    steps = torch.arange(0, 100, 5).float()
    weights = [float(model._weigh(step, torch.tensor(100.0))) for step in steps]  # type: ignore[operator]
    cycle = [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1]
    assert weights == pytest.approx(cycle * 2, abs=1e-5)


def test_pseudo_inputs_are_training_images_unless_they_start_at_random(
    example: ExampleCell, data: Data
) -> None:
    by_default, at_random = (
        PackTrainer([example("vampprior", settings={"k": 9, **more})], data).params[
            "pseudo_inputs"
        ][0]
        for more in ({}, {"from_data": False})
    )
    assert by_default.sigmoid().unique().tolist() == pytest.approx([0.05, 0.95])
    lit = by_default > 0
    could_be = (lit.unsqueeze(1) & (data.train_x == 0)).any(-1).logical_not()
    assert bool(could_be.any(1).all())
    assert len(at_random.unique()) == at_random.numel()
