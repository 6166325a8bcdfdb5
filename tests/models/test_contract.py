"""What every registered model owes the harness; a new model is covered by being registered."""

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from harness import registry
from harness.contract import (
    CLASSES,
    PIXELS,
    Batch,
    Classifier,
    ImportanceWeighted,
    Model,
    Noise,
    Reconstructing,
    draw_noise,
)
from harness.grid import Cell, Supervision
from tests.conftest import CellMaker

ARMS = [(name, supervision) for name, card in registry.cards().items() for supervision in card.supervisions]
BATCH, LABELS = 6, 20


GENERATIVE = [arm for arm in ARMS if arm[1] != "supervised"]
WEIGHTED = [arm for arm in GENERATIVE if hasattr(registry.lookup(arm[0]), "log_weight")]
RECONSTRUCTING = [arm for arm in GENERATIVE if hasattr(registry.lookup(arm[0]), "reconstruct")]
CLASSIFIERS = [arm for arm in ARMS if hasattr(registry.lookup(arm[0]), "classify")]


@pytest.fixture(params=ARMS, ids="-".join)
def arm(request: pytest.FixtureRequest, cell: CellMaker) -> Cell:
    model, supervision = request.param
    return cell(model, supervision=supervision)


def over(arms: list[tuple[str, Supervision]]) -> pytest.MarkDecorator:
    """Run a test over these arms alone."""
    return pytest.mark.parametrize("arm", arms, ids="-".join, indirect=True)


def batch_for(arm: Cell, size: int = BATCH) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(size if arm.has_bound else 0, PIXELS, generator=generator).round()
    labels = LABELS if arm.supervision != "none" else 0
    labelled = torch.rand(labels, PIXELS, generator=generator).round()
    return Batch(x, labelled, torch.arange(labels) % CLASSES)


def noise_for(model: Model, size: int = BATCH) -> Noise:
    return draw_noise(model, size, torch.Generator().manual_seed(1))


def test_terms_are_finite_and_one_a_image_or_one(arm: Cell) -> None:
    model = registry.build(arm)
    for part in model.terms(batch_for(arm), noise_for(model)):
        assert part.shape in ((BATCH,), ())
        assert part.isfinite().all()


def test_terms_are_pure(arm: Cell) -> None:
    model = registry.build(arm)
    state = torch.get_rng_state()
    first = model.terms(batch_for(arm), noise_for(model))
    second = model.terms(batch_for(arm), noise_for(model))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_stacked_models_give_what_each_gives_alone(arm: Cell, cell: CellMaker) -> None:
    models = [registry.build(cell(arm.model, seed, supervision=arm.supervision)) for seed in range(3)]
    batch, noise = batch_for(arm), noise_for(models[0])
    params, buffers = stack_module_state(models)
    stacked = vmap(lambda p, b: tuple(functional_call(models[0], (p, b), (batch, noise))))(params, buffers)
    for index, model in enumerate(models):
        for together, alone in zip(stacked, model.terms(batch, noise), strict=True):
            torch.testing.assert_close(together[index], alone, rtol=1e-5, atol=1e-4)


def test_every_part_of_the_objective_has_a_gradient(arm: Cell) -> None:
    model = registry.build(arm)
    terms = model.terms(batch_for(arm), noise_for(model))
    (terms.rec + terms.kl + terms.extra).mean().backward()
    moved = [parameter for parameter in model.parameters() if parameter.grad is not None]
    assert moved
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in moved)


@over(GENERATIVE)
def test_each_image_counts_alone(arm: Cell) -> None:
    """The terms of an image do not depend on the others in its batch."""
    model = registry.build(arm)
    batch, noise = batch_for(arm), noise_for(model)
    whole = model.terms(batch, noise)
    changed = model.terms(batch._replace(x=torch.cat([batch.x[:1], 1 - batch.x[1:]])), noise)
    torch.testing.assert_close(whole.rec[0], changed.rec[0])
    torch.testing.assert_close(whole.kl[0], changed.kl[0])
    assert not torch.allclose(whole.rec[1:], changed.rec[1:])


@over(GENERATIVE)
def test_samples_are_probabilities_of_pixels(arm: Cell) -> None:
    model = registry.build(arm)
    images = model.sample(noise_for(model, 9))
    assert images.shape == (9, PIXELS)
    assert ((images >= 0) & (images <= 1)).all()


@over(WEIGHTED)
def test_importance_weights_average_to_the_bound(arm: Cell) -> None:
    """E[log p(x,z) - log q(z|x)] is the ELBO for one latent; a sum over y inside only tightens it."""
    model = registry.build(arm)
    assert isinstance(model, ImportanceWeighted)
    x = batch_for(arm).x[:1].repeat(4000, 1)
    noise = draw_noise(model, 4000, torch.Generator().manual_seed(3))
    with torch.no_grad():
        terms = model.terms(Batch(x, x[:0], torch.empty(0, dtype=torch.long)), noise)
        elbo, weight = -(terms.rec + terms.kl), model.log_weight(x, noise)
    error = 4 * ((weight - elbo).std() / 4000**0.5).item()
    assert weight.mean().item() >= elbo.mean().item() - error
    if arm.supervision == "none":
        assert weight.mean().item() <= elbo.mean().item() + error


@over(CLASSIFIERS)
def test_a_classifier_gives_logits_of_grey_images(arm: Cell) -> None:
    model = registry.build(arm)
    assert isinstance(model, Classifier)
    assert model.classify(torch.rand(4, PIXELS)).shape == (4, CLASSES)


def test_the_seed_alone_decides_the_weights(arm: Cell, cell: CellMaker) -> None:
    again = registry.build(cell(arm.model, supervision=arm.supervision, beta=4.0))
    other = registry.build(cell(arm.model, 1, supervision=arm.supervision))
    first = registry.build(arm).state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.items())
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in first.items())


@over(RECONSTRUCTING)
def test_reconstructions_are_probabilities_and_depend_on_the_image(arm: Cell) -> None:
    model, batch = registry.build(arm), batch_for(arm)
    assert isinstance(model, Reconstructing)
    noise = noise_for(model)
    found = model.reconstruct(batch.x, noise)
    assert found.shape == batch.x.shape
    assert ((found >= 0) & (found <= 1)).all()
    assert not torch.equal(found, model.reconstruct(1 - batch.x, noise))
