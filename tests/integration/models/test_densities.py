"""The numbers of the models are what they say, by sums over all images of six binary pixels."""

import sys

import pytest
import torch

from harness.plugins import registry
from harness.plugins.model import Model, draw_noise, scored_batch
from tests.conftest import given
from tests.unit import model_checks
from tests.unit.flow_checks import compare_determinants
from tests.unit.models.made_up.conftest import EXACT, NAMES, UNBOUNDED, ExampleCell

# its parts are means over the batch, so there is no number of one image
BATCHED = {"pythae"}
# bounds that such a short training leaves far from log p(x): the smallest sum of exp(-NELBO)
LOOSE = {"vqvae": 0.3, "ddpm": 1e-4, "m1m2": 0.05}
# M1 is not trained on p(z1|y,z2), so importance weights of the stack have heavy tails
SPREAD = {"m1m2": 0.3}


def train(example: ExampleCell, name: str) -> Model:
    """A model that knows a little about images of 2 × 3 pixels."""
    example(name)
    return model_checks.train_on_dots(name)


@pytest.mark.parametrize("name", sorted(set(NAMES) - EXACT - UNBOUNDED - BATCHED))
def test_a_bound_gives_all_images_together_less_than_one(name: str, example: ExampleCell) -> None:
    model = train(example, name)
    model_checks.check_bound(model, LOOSE.get(name, 0.5), SPREAD.get(name, 0.05))


@pytest.mark.parametrize("name", sorted(EXACT))
def test_an_exact_likelihood_gives_all_images_together_one(name: str, example: ExampleCell) -> None:
    nll = model_checks.score_dots(train(example, name))
    assert float((-nll).exp().sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_a_sample_is_drawn_from_the_conditionals(name: str, example: ExampleCell) -> None:
    model_checks.check_draws_of_pixels(train(example, name))


def test_the_determinant_of_a_planar_flow_is_that_of_its_jacobian(example: ExampleCell) -> None:
    random = torch.Generator().manual_seed(0)
    z, u, w = (3 * torch.randn(8, 5, generator=random) for _ in range(3))
    b = torch.randn(8, 1, generator=random)
    example("planar_flow")
    module = sys.modules[registry.lookup("planar_flow").__module__]
    compare_determinants(module.apply_planar, (z, u, w, b))


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
