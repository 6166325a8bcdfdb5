import json

import pytest
import torch

from harness.evaluation.elbo import elbo, evaluate_terms, subset_elbo
from harness.evaluation.image_sampling import COLUMN, estimate_standard_error, merge_errors
from harness.evaluation.importance.iwae import iwae
from harness.plugins.metric import ScoreGenerator
from harness.plugins.model import ImportanceWeighted
from models.vae import VAE

IMAGES = (torch.rand(40, 784, generator=torch.Generator().manual_seed(0)) < 0.5).float()
CLASSES = torch.zeros(40, dtype=torch.long)


def end_of(scores: ScoreGenerator) -> dict[str, object]:
    while True:
        try:
            next(scores)
        except StopIteration as end:
            return dict(end.value)


@pytest.fixture
def model() -> VAE:
    torch.manual_seed(0)
    return VAE(z=2).eval()


def test_the_error_of_the_bound_is_that_of_its_images(model: VAE) -> None:
    errors = end_of(elbo(model, IMAGES))[COLUMN]
    with torch.inference_mode():
        terms = evaluate_terms(model, IMAGES, CLASSES, "test noise", 0)
    assert terms.rec is not None
    assert terms.kl is not None
    bounds = (terms.rec + terms.kl).double()
    assert isinstance(errors, dict)
    assert errors["nelbo"] == pytest.approx(float(bounds.std()) / 40**0.5)
    assert set(errors) == {"nelbo", "kl", "rec"}


def test_the_error_of_repeats_is_that_of_each_images_mean(model: VAE) -> None:
    single, repeated = (end_of(each(model, IMAGES))[COLUMN] for each in (elbo, subset_elbo))
    assert isinstance(single, dict)
    assert isinstance(repeated, dict)
    assert 0 < repeated["nelbo"] < single["nelbo"]


def test_bounds_of_draws_have_errors_too(model: VAE) -> None:
    assert isinstance(model, ImportanceWeighted)
    values = end_of(iwae(model, IMAGES, [1, 5], {}, "iwae"))
    errors = values[COLUMN]
    assert isinstance(errors, dict)
    assert set(errors) == {"iwae_1", "iwae_5"}
    assert 0 < errors["iwae_5"] < 5


def test_errors_of_a_later_scoring_join_those_of_the_row() -> None:
    assert json.loads(merge_errors('{"nelbo": 1.0}', {"iwae_10": 0.5}) or "") == {
        "nelbo": 1.0,
        "iwae_10": 0.5,
    }
    assert merge_errors(None, {"nelbo": None}) is None


def test_one_image_has_no_error() -> None:
    assert estimate_standard_error(torch.ones(1)) is None
