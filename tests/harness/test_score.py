"""Scores of a model, on real MNIST and against sums written out by hand."""

import json
import math
from pathlib import Path

import pytest
import torch

from harness import judge, registry, score
from harness.contract import PIXELS, Batch, Classifier, Model, Noise, Reconstructing, Shape, Terms
from harness.data import Data, scaled
from harness.judge import REACH
from harness.store import Store
from tests.conftest import CellMaker

LISTS = Path(__file__).parents[3] / "shared" / "protocol" / "report_subset.json"


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


def test_the_parts_add_up_and_every_test_image_counts(mnist: Data) -> None:
    found = score.bound(Known(), mnist)
    assert found["rec"] == 3
    assert found["nelbo"] == pytest.approx(found["kl"] + found["rec"], abs=1e-9)
    assert abs(found["kl"]) < 5 / math.sqrt(10_000)


def test_the_test_set_is_binarised_once(mnist: Data) -> None:
    first = score.test_images(mnist)
    assert torch.equal(first, score.test_images(mnist))
    assert first.shape == (10_000, PIXELS)
    assert first.mean().item() == pytest.approx(scaled(mnist.test_x).mean().item(), abs=1e-3)


def test_the_bound_of_a_real_model_is_that_of_its_terms(mnist: Data, cell: CellMaker) -> None:
    model = registry.build(cell("vae"))
    first = Data(mnist.name, mnist.train_x, mnist.train_y, mnist.test_x[:50], mnist.test_y[:50], mnist.checksum)
    found = score.bound(model, first)
    assert 500 < found["nelbo"] < 600
    assert found == score.bound(model, first)


@pytest.mark.skipif(not LISTS.is_file(), reason="the source report's list of images is not beside this checkout")
def test_the_report_subset_is_binarised_as_the_source_did(mnist: Data) -> None:
    indices = json.loads(LISTS.read_text())["evaluation_test_indices"]
    x = score.subset_images(mnist, indices)
    assert x.shape == (100, PIXELS)
    assert x.sum().item() == 10_257


def test_subset_scores_are_means_of_a_hundred_repeats(mnist: Data) -> None:
    found = score.subset_bound(Known(), mnist, [3, 1, 4, 1])
    assert found["rec"] == 3
    assert 0 < abs(found["kl"]) < 5 / math.sqrt(400)


def test_iwae_is_the_log_mean_of_weights(mnist: Data) -> None:
    """The bound falls from 0 towards -log E[w] = -1/2 as draws are added."""
    x = score.subset_images(mnist, range(150))
    found = score.iwae(Known(), x, (10, 100, 1000))
    assert list(found) == ["iwae_10", "iwae_100", "iwae_1000"]
    assert 0 > found["iwae_10"] > found["iwae_100"] > found["iwae_1000"]
    assert found["iwae_1000"] == pytest.approx(-0.5, abs=0.02)
    assert score.iwae(Known(), x, (10,))["iwae_10"] == pytest.approx(found["iwae_10"])


def test_a_model_without_weights_has_no_iwae_bound(mnist: Data) -> None:
    assert score.iwae(Unweighted(), score.subset_images(mnist, [0]), (10,)) == {}


def test_more_draws_tighten_the_bound_of_a_real_model(mnist: Data, cell: CellMaker) -> None:
    x = score.subset_images(mnist, range(20))
    for name in ("vae", "gmvae", "ssvae"):
        found = score.iwae(registry.build(cell(name)), x, (10, 100))
        assert found["iwae_100"] < found["iwae_10"]


def test_accuracy_is_on_grey_images_and_of_classifiers_alone(mnist: Data, cell: CellMaker) -> None:
    model = registry.build(cell("ssvae"))
    assert isinstance(model, Classifier)
    found = score.accuracy(model, mnist)
    by_hand = (model.classify(scaled(mnist.test_x)).argmax(1) == mnist.test_y).double().mean().item()
    assert found == pytest.approx(by_hand)
    assert score.accuracy(registry.build(cell("vae")), mnist) is None


def test_samples_are_binary_and_the_same_for_every_call() -> None:
    images = score.samples(Known(), 1500, torch.device("cpu"))
    assert images.shape == (1500, PIXELS)
    assert set(images.unique().tolist()) == {0.0, 1.0}
    assert images.mean().item() == pytest.approx(0.25, abs=0.005)
    assert torch.equal(images[:1000], score.samples(Known(), 1000, torch.device("cpu")))


@pytest.mark.slow
def test_the_judge_is_as_good_as_the_source_reports(mnist: Data, tmp_path: Path) -> None:
    store = Store(tmp_path)
    judge.provide(store, mnist)
    found = judge.load(store, mnist)
    assert found.accuracy >= REACH
    assert found.accuracy == pytest.approx(score.hits(found.net, scaled(mnist.test_x), mnist.test_y))
    assert found.accuracy_binary == pytest.approx(score.hits(found.net, score.test_images(mnist), mnist.test_y))
    assert found.accuracy_binary > 0.97
    counts = found.counts(score.test_images(mnist))
    truth = torch.bincount(mnist.test_y).tolist()
    assert sum(counts) == 10_000
    assert all(abs(a - b) < 60 for a, b in zip(counts, truth, strict=True))


def test_reconstructions_stand_under_their_images(mnist: Data, cell: CellMaker) -> None:
    model = registry.build(cell("vae"))
    assert isinstance(model, Reconstructing)
    sheet = score.reconstructions(model, mnist, rows=4, columns=5)
    assert sheet is not None
    lines = sheet.unflatten(0, (4, 5))
    x = score.test_images(mnist)[:10]
    assert torch.equal(lines[0], x[:5])
    assert torch.equal(lines[2], x[5:])
    assert not torch.equal(lines[1], lines[3])
    assert ((lines[1] > 0) & (lines[1] < 1)).all()
    assert score.reconstructions(Unweighted(), mnist, 4, 5) is None


@pytest.mark.parametrize("name", ["vae", "gmvae", "ssvae"])
def test_a_traversal_walks_one_dimension_a_line(name: str, cell: CellMaker) -> None:
    """The middle of every line is the same image, that of z = 0; elsewhere lines differ."""
    sheet = score.traversals(registry.build(cell(name)), 3, 5, torch.device("cpu"))
    assert sheet is not None
    lines = sheet.unflatten(0, (3, 5))
    assert torch.allclose(lines[0, 2], lines[1, 2], atol=1e-6)
    assert torch.allclose(lines[0, 2], lines[2, 2], atol=1e-6)
    assert not torch.allclose(lines[0, 0], lines[1, 0], atol=1e-4)
    assert not torch.allclose(lines[0, 0], lines[0, 4], atol=1e-4)


def test_a_latent_space_with_fewer_dimensions_than_lines_has_no_traversal() -> None:
    assert score.traversals(Unweighted(), 3, 5, torch.device("cpu")) is None
