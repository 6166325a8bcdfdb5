"""Scores on real MNIST, compared with sums that are written out."""

import json
import math
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from harness.data.binarization import scale_to_unit
from harness.evaluation import classification, digit_classifier, elbo, samples, scored_images
from harness.evaluation.checks import InvalidScoreError
from harness.evaluation.digit_classifier import SOURCE_ACCURACY
from harness.evaluation.importance import iwae, weights
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import (
    PIXELS,
    Batch,
    Classifier,
    ImportanceWeighted,
    Model,
    Noise,
    Reconstructing,
    Shape,
    Terms,
)
from harness.storage.store import Store
from tests.conftest import CellMaker

T = TypeVar("T")
LISTS = Path(__file__).parents[5] / "shared" / "protocol" / "report_subset.json"


@pytest.fixture(scope="session")
def mnist(full_mnist: Data) -> Data:
    """Scores are of all test images."""
    return full_mnist


class Unweighted(Model):
    """A model whose scores are known: rec is 3, kl is its noise."""

    def noise(self, batch: int) -> dict[str, Shape]:
        return {"z": (batch,)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        return Terms(noise["z"] * 0 + 3, noise["z"], noise["z"] * 0)

    def sample(self, noise: Noise) -> torch.Tensor:
        return torch.full((len(noise["z"]), PIXELS), 0.25)


class Known(Unweighted):
    """The same with importance weights e^z, z ~ N(0, 1): log E[w] = 1/2."""

    def log_weight(self, x: torch.Tensor, noise: Noise) -> torch.Tensor:
        return noise["z"] + x.sum(-1) * 0


def finish(work: Generator[float, None, T]) -> T:
    """The result of a score; the shares that it yields must rise."""
    shares = []
    while True:
        try:
            shares.append(next(work))
        except StopIteration as end:
            assert shares == sorted(shares)
            assert not shares or 0 < shares[0] <= shares[-1]
            found: T = end.value
            return found


def test_the_parts_add_up_and_every_test_image_counts(mnist: Data) -> None:
    found = finish(elbo.elbo(Known(), scored_images.prepare_test_images(mnist)))
    assert (found["rec"], found["estimator"], found["data_kind"]) == (3, "elbo", "binary")
    assert found["nelbo"] == pytest.approx(found["kl"] + found["rec"], abs=1e-9)
    assert abs(found["kl"]) < 5 / math.sqrt(10_000)


def test_the_test_set_is_binarised_once(mnist: Data) -> None:
    first = scored_images.prepare_test_images(mnist)
    assert torch.equal(first, scored_images.prepare_test_images(mnist))
    assert first.shape == (10_000, PIXELS)
    assert first.mean().item() == pytest.approx(scale_to_unit(mnist.test_x).mean().item(), abs=1e-3)


def test_the_bound_of_a_real_model_is_that_of_its_terms(mnist: Data, cell: CellMaker) -> None:
    model = registry.build(cell("vae"))
    first = scored_images.prepare_test_images(mnist)[:50]
    found = finish(elbo.elbo(model, first))
    assert 500 < found["nelbo"] < 600
    assert found == finish(elbo.elbo(model, first))


class Given(Unweighted):
    """A model that returns the terms it is constructed with."""

    def __init__(self, **terms: float):
        super().__init__()
        self.given = terms

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        values = {name: torch.full((len(batch.x),), value) for name, value in self.given.items()}
        return Terms(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"rec": 80.0, "kl": 20.0}, {"estimator": "elbo", "nelbo": 100.0, "kl": 20.0, "rec": 80.0}),
        ({"nll": 88.0}, {"estimator": "exact", "nll": 88.0}),
        (
            {"rec": 88.0, "kl": 0.0},
            {"estimator": "exact", "nll": 88.0, "nelbo": 88.0, "kl": 0.0, "rec": 88.0},
        ),
        ({"rec": 36.0, "extra": 1.0}, {"estimator": "none", "rec": 36.0}),
        ({"extra": 1.0}, {"estimator": "none"}),
        ({"rec": 0.0, "kl": 0.0, "extra": 1.0}, {"estimator": "none"}),
    ],
)
def test_a_row_holds_the_likelihood_that_the_terms_give(
    terms: dict[str, float], expected: dict[str, Any], mnist: Data
) -> None:
    found = finish(elbo.elbo(Given(**terms), scored_images.prepare_test_images(mnist)[:9]))
    errors = found.pop("evaluation_se")
    assert found == expected | {"data_kind": "binary"}
    assert set(errors) <= {"nelbo", "kl", "rec", "nll"}
    assert set(errors.values()) <= {0.0}  # all images have the same terms


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"rec": 80.0, "kl": -10_000.0}, "kl is -10000 nats; expected a divergence"),
        (
            {"rec": -400.0, "kl": 80.0},
            "nelbo is -320 nats; expected at least 0, as images are discrete",
        ),
        ({"nll": -1.0}, "nll is -1 nats; expected at least 0"),
        ({"rec": math.nan, "kl": 1.0}, "not finite after training: nelbo"),
    ],
)
def test_what_no_model_of_binary_images_can_have_is_refused(
    terms: dict[str, float], message: str, mnist: Data
) -> None:
    with pytest.raises(InvalidScoreError, match=message):
        finish(elbo.elbo(Given(**terms), scored_images.prepare_test_images(mnist)[:9]))


def test_a_kl_below_zero_by_its_noise_is_none_of_these(mnist: Data) -> None:
    """Known's KL is N(0, 1) for each image, so its mean is below zero half of the time."""
    assert (
        finish(elbo.elbo(Known(), scored_images.prepare_test_images(mnist)[:100]))["estimator"]
        == "elbo"
    )


@pytest.mark.skipif(
    not LISTS.is_file(), reason="the source report's list of images is not beside this checkout"
)
def test_the_report_subset_is_binarised_as_the_source_did(mnist: Data) -> None:
    indices = json.loads(LISTS.read_text())["evaluation_test_indices"]
    x = scored_images.prepare_subset(mnist, indices)
    assert x.shape == (100, PIXELS)
    assert x.sum().item() == 10_257


def test_subset_scores_are_means_of_a_hundred_repeats(mnist: Data) -> None:
    found = finish(elbo.subset_elbo(Known(), scored_images.prepare_subset(mnist, [3, 1, 4, 1])))
    assert found["rec"] == 3
    assert 0 < abs(found["kl"]) < 5 / math.sqrt(400)


def test_iwae_is_the_log_mean_of_weights(mnist: Data) -> None:
    """The bound falls from 0 towards -log E[w] = -1/2 as draws are added."""
    x = scored_images.prepare_subset(mnist, range(150))
    found = finish(iwae.iwae(Known(), x, (10, 100, 1000), {}, "iwae"))
    assert list(found) == ["iwae_10", "iwae_100", "iwae_1000", "evaluation_se"]
    assert 0 > found["iwae_10"] > found["iwae_100"] > found["iwae_1000"]
    assert found["iwae_1000"] == pytest.approx(-0.5, abs=0.02)
    assert finish(iwae.iwae(Known(), x, (10,), {}, "iwae"))["iwae_10"] == pytest.approx(
        found["iwae_10"]
    )


@pytest.mark.parametrize("after", [1, 2])
def test_an_iwae_bound_continues_after_the_finished_images(after: int, mnist: Data) -> None:
    x, kept = scored_images.prepare_subset(mnist, range(250)), dict[str, torch.Tensor]()
    work = iwae.iwae(Known(), x, (10, 100), kept, "iwae")
    for _ in range(after):
        next(work)
    work.close()
    assert kept["iwae"].shape == (2, 100 * after)
    assert finish(iwae.iwae(Known(), x, (10, 100), kept, "iwae")) == finish(
        iwae.iwae(Known(), x, (10, 100), {}, "iwae")
    )
    assert kept == {}


def test_a_block_is_compiled_where_that_pays_and_not_where_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, device = Known(), torch.device("cpu")
    monkeypatch.setattr(weights, "can_compile", lambda _: True)
    assert weights.should_compile(model, 2_000_000, "auto", device)
    assert not weights.should_compile(model, 1_999_999, "auto", device)
    assert weights.should_compile(model, 1, "always", device)
    assert not weights.should_compile(model, 10**9, "never", device)
    monkeypatch.setattr(Known, "stackable", False)
    assert not weights.should_compile(model, 10**9, "always", device)
    monkeypatch.undo()
    monkeypatch.setattr(weights, "can_compile", lambda _: False)
    assert not weights.should_compile(model, 10**9, "auto", device)

    def fail(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(weights, "compile_function", fail)
    x = torch.zeros(100, 784)
    assert finish(iwae.iwae(model, x, (10,), {}, "iwae", mode="always")) == finish(
        iwae.iwae(model, x, (10,), {}, "iwae", mode="never")
    )


def test_more_draws_tighten_the_bound_of_a_real_model(mnist: Data, cell: CellMaker) -> None:
    x = scored_images.prepare_subset(mnist, range(20))
    for name in ("vae", "gmvae", "ssvae"):
        model = registry.build(cell(name))
        assert isinstance(model, ImportanceWeighted)
        found = finish(iwae.iwae(model, x, (10, 100), {}, "iwae"))
        assert found["iwae_100"] < found["iwae_10"]


def test_accuracy_is_on_grey_images_and_of_classifiers_alone(mnist: Data, cell: CellMaker) -> None:
    model = registry.build(cell("ssvae"))
    assert isinstance(model, Classifier)
    found = classification.test_set_accuracy(model, mnist)
    by_hand = (
        (model.classify(scale_to_unit(mnist.test_x)).argmax(1) == mnist.test_y)
        .double()
        .mean()
        .item()
    )
    assert found == pytest.approx(by_hand)
    assert classification.test_set_accuracy(registry.build(cell("vae")), mnist) is None


def test_samples_are_binary_and_the_same_for_every_call(mnist: Data) -> None:
    images = finish(samples.draw_samples(Known(), 1500, mnist))
    assert images.shape == (1500, PIXELS)
    assert set(images.unique().tolist()) == {0.0, 1.0}
    assert images.mean().item() == pytest.approx(0.25, abs=0.005)
    assert torch.equal(images[:1000], finish(samples.draw_samples(Known(), 1000, mnist)))


@pytest.mark.slow
def test_the_digit_classifier_is_as_good_as_the_source_reports(mnist: Data, tmp_path: Path) -> None:
    store = Store(tmp_path)
    digit_classifier.provide(store, mnist)
    found = digit_classifier.load(store, mnist)
    assert found.accuracy >= SOURCE_ACCURACY
    assert found.accuracy == pytest.approx(
        classification.compute_accuracy(found.net, scale_to_unit(mnist.test_x), mnist.test_y)
    )
    assert found.accuracy_binary == pytest.approx(
        classification.compute_accuracy(
            found.net, scored_images.prepare_test_images(mnist), mnist.test_y
        )
    )
    assert found.accuracy_binary > 0.97
    counts = found.count_digits(scored_images.prepare_test_images(mnist))
    truth = torch.bincount(mnist.test_y).tolist()
    assert sum(counts) == 10_000
    assert all(abs(a - b) < 60 for a, b in zip(counts, truth, strict=True))


def test_reconstructions_stand_under_their_images(mnist: Data, cell: CellMaker) -> None:
    model = registry.build(cell("vae"))
    assert isinstance(model, Reconstructing)
    sheet = samples.reconstruct_images(
        model, scored_images.prepare_test_images(mnist), rows=4, columns=5
    )
    assert sheet is not None
    lines = sheet.unflatten(0, (4, 5))
    x = scored_images.prepare_test_images(mnist)[:10]
    assert torch.equal(lines[0], x[:5])
    assert torch.equal(lines[2], x[5:])
    assert not torch.equal(lines[1], lines[3])
    assert ((lines[1] > 0) & (lines[1] < 1)).all()
    assert samples.reconstruct_images(Unweighted(), x, 4, 5) is None


@pytest.mark.parametrize("name", ["vae", "gmvae", "ssvae"])
def test_a_traversal_walks_one_dimension_a_line(name: str, cell: CellMaker) -> None:
    """The middle of every line is the image of z = 0; elsewhere lines differ."""
    sheet = samples.traverse_latents(registry.build(cell(name)), 784, 3, 5, torch.device("cpu"))
    assert sheet is not None
    lines = sheet.unflatten(0, (3, 5))
    assert torch.allclose(lines[0, 2], lines[1, 2], atol=1e-6)
    assert torch.allclose(lines[0, 2], lines[2, 2], atol=1e-6)
    assert not torch.allclose(lines[0, 0], lines[1, 0], atol=1e-4)
    assert not torch.allclose(lines[0, 0], lines[0, 4], atol=1e-4)


def test_a_small_latent_space_has_no_traversal() -> None:
    assert samples.traverse_latents(Unweighted(), 784, 3, 5, torch.device("cpu")) is None


def test_pixels_that_are_drawn_one_by_one_are_no_latent_space(cell: CellMaker) -> None:
    model = registry.build(cell("made"))
    assert samples.traverse_latents(model.eval(), 784, 3, 5, torch.device("cpu")) is None
