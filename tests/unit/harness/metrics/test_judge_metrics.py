"""Distances and manifolds of features, checked against a direct computation."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from torch import Tensor

from harness.evaluation.digit_classifier import Net
from harness.metrics.features.frechet import frechet_distance
from harness.metrics.features.judge_features import extract_features
from harness.metrics.features.kernel_distance import kernel_distance
from harness.metrics.features.manifolds import compare_manifolds
from harness.metrics.neighbours import CHUNK_SIZE

Floats = NDArray[np.float64]


def draw(n: int, m: int, d: int, shift: float = 0.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Correlated points of two kinds: (n, d) and (m, d)."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=generator, dtype=torch.float64)
    real = torch.randn(n, d, generator=generator, dtype=torch.float64) @ mix
    fake = torch.randn(m, d, generator=generator, dtype=torch.float64) + shift
    return real, fake


@pytest.mark.parametrize(("n", "m", "d"), [(50, 70, 6), (400, 300, 16)])
def test_the_frechet_distance_is_that_of_a_direct_computation(n: int, m: int, d: int) -> None:
    real, fake = draw(n, m, d)
    a, b = real.numpy(), fake.numpy()
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected += np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_the_frechet_distance_of_one_set_is_zero_and_of_a_shift_its_square() -> None:
    real, _ = draw(200, 2, 8)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(real, real + 3) == pytest.approx(8 * 9, rel=1e-9)


def test_features_that_never_vary_have_a_frechet_distance() -> None:
    """ReLU features may be 0 for every image, which makes the covariance singular."""
    real, fake = draw(30, 30, 4)
    real[:, 2], fake[:, 2] = 0.0, 0.0
    assert frechet_distance(real, fake) > 0


@pytest.mark.parametrize(("n", "m"), [(20, 33), (1100, 40)])
def test_the_kernel_distance_is_that_of_a_direct_computation(n: int, m: int) -> None:
    real, fake = draw(n, m, 5)
    a, b = real.numpy(), fake.numpy()

    def kernel(x: Floats, y: Floats) -> Floats:
        return np.asarray((np.einsum("id,jd->ij", x, y) / 5 + 1) ** 3)

    def without_diagonal(k: Floats) -> float:
        return float(k[~np.eye(len(k), dtype=bool)].mean())

    expected = without_diagonal(kernel(a, a)) + without_diagonal(kernel(b, b))
    expected -= 2 * float(kernel(a, b).mean())
    assert kernel_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_the_kernel_distance_of_equal_distributions_is_zero_on_average() -> None:
    found = [kernel_distance(*draw_twice(seed)) for seed in range(200)]
    error = float(np.std(found, ddof=1)) / len(found) ** 0.5
    assert abs(float(np.mean(found))) < 4 * error
    assert min(found) < 0


def draw_twice(seed: int) -> tuple[Tensor, Tensor]:
    both = torch.randn(60, 3, generator=torch.Generator().manual_seed(seed))
    return both[:30], both[30:]


def test_one_image_has_no_kernel_distance() -> None:
    with pytest.raises(ValueError, match="1 and 2 images; expected at least two each"):
        kernel_distance(torch.zeros(1, 3), torch.zeros(2, 3))


def compare_directly(real: Floats, fake: Floats, k: int) -> dict[str, float]:
    """Precision, recall, density and coverage, one pair of points at a time."""

    def radius(points: Floats, index: int) -> float:
        others = np.delete(points, index, axis=0)
        return float(np.sort(np.linalg.norm(others - points[index], axis=1))[k - 1])

    real_radii = [radius(real, index) for index in range(len(real))]
    fake_radii = [radius(fake, index) for index in range(len(fake))]
    inside = [
        [bool(np.linalg.norm(x - y) <= r) for y in fake]
        for x, r in zip(real, real_radii, strict=True)
    ]
    recalled = [
        any(np.linalg.norm(x - y) <= r for y, r in zip(fake, fake_radii, strict=True)) for x in real
    ]
    return {
        "precision": float(np.any(inside, axis=0).mean()),
        "recall": float(np.mean(recalled)),
        "density": float(np.sum(inside)) / (k * len(fake)),
        "coverage": float(np.any(inside, axis=1).mean()),
    }


@pytest.mark.parametrize(("n", "m", "k"), [(40, 25, 3), (30, 60, 5), (CHUNK_SIZE + 20, 30, 5)])
def test_manifolds_are_those_of_a_direct_computation(n: int, m: int, k: int) -> None:
    real, fake = draw(n, m, 4, shift=1.0, seed=k)
    expected = compare_directly(real.numpy(), fake.numpy(), k)
    assert compare_manifolds(real, fake, k) == pytest.approx(expected, rel=1e-12)
    assert len(set(expected.values())) == 4


def test_samples_that_are_far_away_or_copies_are_told() -> None:
    real, _ = draw(80, 2, 4)
    assert set(compare_manifolds(real, real + 1e4, 5).values()) == {0.0}
    copies = compare_manifolds(real, real, 5)
    assert (copies["precision"], copies["recall"], copies["coverage"]) == (1.0, 1.0, 1.0)


def test_too_few_images_for_their_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="5 images have no 5 neighbours each"):
        compare_manifolds(torch.zeros(9, 2), torch.zeros(5, 2), 5)


def test_features_are_what_the_last_layer_is_given() -> None:
    torch.manual_seed(0)
    net, images = Net().eval(), torch.rand(1003, 784).round()
    features = extract_features(net, images)
    assert (features.shape, features.dtype) == ((1003, 128), torch.float64)
    last = net.features[-1]
    with torch.inference_mode():
        assert torch.allclose(last(features.float()), net.classify(images), atol=1e-5)
    assert not last._forward_pre_hooks
