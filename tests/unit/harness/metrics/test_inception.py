"""FID and KID by a stand-in for the Inception net; by torch-fidelity itself where it is installed.

The stand-in is a small fixed net with the same interface. No weights are downloaded.
"""

import hashlib
import io
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn

from harness.data.loading import load
from harness.errors import InputError
from harness.evaluation.inputs import MetricInputs, SharedInputs
from harness.evaluation.samples import draw_samples
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.metrics.features import inception_net
from harness.metrics.features.fid_kid import score_inception
from harness.metrics.features.frechet import frechet_distance
from harness.metrics.features.inception_features import (
    BATCH_SIZE,
    compute_inception_features,
    convert_to_bytes,
    extract_features,
    has_features,
)
from harness.metrics.features.kernel_distance import kernel_distance
from harness.plugins import registry
from harness.plugins.dataset import Data, DataSpec
from harness.plugins.metric import registered_metrics
from harness.storage.store import Store
from tests.conftest import CellMaker

SAMPLES = 120


class StandIn(nn.Module):
    """Bytes (n, 3, height, width) -> a tuple of (n, 12); notes how many images it was given."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 12, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
            )
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        assert (images.dtype, images.shape[1]) == (torch.uint8, 3)
        self.sizes.append(len(images))
        return (self.layers((images.float() - 128) / 128),)


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in in place of the Inception net."""
    stand_in = StandIn().eval()
    monkeypatch.setattr(inception_net, "load_extractor", lambda _: stand_in)
    return stand_in


@pytest.fixture
def shared(store: Store, mnist: Data) -> SharedInputs:
    few = replace(mnist, test_x=mnist.test_x[:150], test_y=mnist.test_y[:150])
    return SharedInputs(store, few, EvaluationConfig(samples=SAMPLES))


def make_inputs(shared: SharedInputs, cell: Cell) -> MetricInputs:
    return MetricInputs(shared, cell, registry.build(cell).eval(), {})


def finish(work: Generator[float, None, Any]) -> tuple[list[float], Any]:
    """The shares that a computation yields, and its result."""
    shares = []
    while True:
        try:
            shares.append(next(work))
        except StopIteration as end:
            return shares, end.value


def compare_directly(real: Any, fake: Any) -> tuple[float, float]:
    """FID and KID of features, by SciPy's matrix root and a kernel matrix written out."""
    cov = np.cov(real.T), np.cov(fake.T)
    fid = ((real.mean(0) - fake.mean(0)) ** 2).sum()
    fid += np.trace(cov[0] + cov[1] - 2 * np.real(sqrtm(cov[0] @ cov[1])))

    def kernel(a: Any, b: Any) -> Any:
        return (np.einsum("id,jd->ij", a, b) / a.shape[1] + 1) ** 3

    def average_pairs(k: Any) -> float:
        return float(k[~np.eye(len(k), dtype=bool)].mean())

    within = average_pairs(kernel(real, real)) + average_pairs(kernel(fake, fake))
    return float(fid), float(within - 2 * kernel(real, fake).mean())


def test_fid_and_kid_are_those_of_a_direct_computation(
    net: StandIn, shared: SharedInputs, cell: CellMaker
) -> None:
    """The images are prepared here once more: binary, times 255, one channel three times."""
    inputs = make_inputs(shared, cell("vae"))
    shares, values = finish(score_inception(inputs))
    _, samples = finish(draw_samples(inputs.model, SAMPLES, shared.data))
    features = []
    for images in (shared.test_images, samples):
        pictures = 255 * images.view(-1, 1, 28, 28).repeat(1, 3, 1, 1)
        with torch.inference_mode():
            features.append(net(pictures.to(torch.uint8))[0].double().numpy())
    fid, kid = compare_directly(*features)
    assert fid > 0.001
    assert values["fid"] == pytest.approx(fid, rel=1e-4)
    assert values["kid"] == pytest.approx(kid, rel=1e-4)
    assert values["fid_samples"] == SAMPLES
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1


def test_test_images_are_given_to_the_net_once_a_trial(
    net: StandIn, shared: SharedInputs, cell: CellMaker
) -> None:
    first = finish(compute_inception_features(make_inputs(shared, cell("vae"))))[1]
    again = finish(compute_inception_features(make_inputs(shared, cell("vae", seed=1))))[1]
    assert sum(net.sizes) == 150 + 2 * SAMPLES
    assert max(net.sizes) <= BATCH_SIZE
    assert torch.equal(first.real, again.real)
    assert not torch.equal(first.fake, again.fake)


def test_a_computation_that_was_stopped_leaves_no_half_features(
    net: StandIn, shared: SharedInputs, cell: CellMaker
) -> None:
    inputs = make_inputs(shared, cell("vae"))
    stopped = compute_inception_features(inputs)
    while not net.sizes:
        next(stopped)
    stopped.close()
    features = finish(compute_inception_features(inputs))[1]
    assert (features.real.shape, features.fake.shape) == ((150, 12), (SAMPLES, 12))


def test_one_sample_has_no_distance(net: StandIn, shared: SharedInputs, cell: CellMaker) -> None:
    single = SharedInputs(shared.store, shared.data, EvaluationConfig(samples=1))
    with pytest.raises(ValueError, match="150 and 1 images; expected at least two each"):
        finish(score_inception(make_inputs(single, cell("vae"))))


def test_pixels_become_bytes_and_a_grey_channel_is_repeated() -> None:
    grey = convert_to_bytes(torch.tensor([[0.0, 0.5, 1.0, 1.5]]), (1, 2, 2))
    assert grey.tolist() == [[[[0, 128], [255, 255]]] * 3]
    colours = torch.tensor([[-0.1, 0.2, 0.999]])
    assert convert_to_bytes(colours, (3, 1, 1)).tolist() == [[[[0]], [[51]], [[255]]]]
    assert convert_to_bytes(colours, (3, 1, 1)).dtype == torch.uint8


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (DataSpec((1, 8, 8)), True),
        (DataSpec((3, 8, 8), "ordinal", 256), True),
        (DataSpec((3, 8, 8), "continuous"), False),
        (DataSpec((2, 8, 8)), False),
        (DataSpec((40,)), False),
    ],
)
def test_images_with_known_levels_have_features(
    spec: DataSpec, expected: bool, shared: SharedInputs, cell: CellMaker
) -> None:
    other = SharedInputs(shared.store, replace(shared.data, spec=spec), shared.evaluation)
    inputs = make_inputs(other, cell("vae"))
    assert has_features(inputs) is expected
    supervised = replace(inputs, cell=cell("ssvae", supervision="supervised"))
    assert not has_features(supervised)


def test_images_of_many_levels_are_bytes_in_proportion(net: StandIn, store: Store) -> None:
    data = load("digits")
    assert data.spec.levels == 17
    levels = SharedInputs(store, data, EvaluationConfig(samples=10)).test_images
    _, features = finish(extract_features(net, levels, data.spec.shape))
    expected = (data.test_x.float() / 16 * 255).round().to(torch.uint8)
    with torch.inference_mode():
        (direct,) = net(expected.view(-1, 1, 8, 8).expand(-1, 3, -1, -1))
    assert torch.allclose(features, direct, atol=1e-6)


def test_the_columns_say_their_direction_and_unit() -> None:
    metric = registered_metrics["inception"]
    assert metric.columns == {"fid", "kid", "fid_samples"}
    described = {name: metric.describe(name) for name in sorted(metric.columns)}
    found = {name: (column.unit, column.better) for name, column in described.items() if column}
    assert found == {"fid": ("", "lower"), "fid_samples": ("images", None), "kid": ("", "lower")}


# --- what is refused ------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the weights in an empty cache; the package is there."""
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: "found")
    return tmp_path / "hub" / "checkpoints" / inception_net.FILE


def test_a_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"torch-fidelity; pip install .*\[fidelity\]"):
        registered_metrics["inception"].check()


def test_weights_that_cannot_be_downloaded_are_refused(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(InputError) as refused:
        registered_metrics["inception"].check()
    message = str(refused.value)
    assert "cannot be downloaded (no route to host)" in message
    assert message.endswith(f"expected {inception_net.ADDRESS} as {hub}")
    assert "\n" not in message
    assert not hub.exists()


def test_weights_are_downloaded_once_and_verified(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, calls = b"weights", list[object]()

    def answer(address: str, timeout: float) -> io.BytesIO:
        calls.append(address)
        return io.BytesIO(content)

    monkeypatch.setattr("urllib.request.urlopen", answer)
    monkeypatch.setattr(inception_net, "HASH", hashlib.sha256(content).hexdigest()[:8])
    for _ in range(2):
        inception_net.check_inception()
    assert calls == [inception_net.ADDRESS]
    assert hub.read_bytes() == content
    hub.write_bytes(b"weigh")
    with pytest.raises(InputError, match=r"altered or truncated: SHA-256 .* delete the file"):
        inception_net.check_inception()


# --- beside torch-fidelity ------------------------------------------------------------------------


def test_the_distances_are_those_of_torch_fidelity() -> None:
    """A block of all images is what this estimate of KID is; several blocks estimate the same."""
    fidelity = pytest.importorskip("torch_fidelity")
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(400, 16, generator=generator) ** power for power in (1, 1.3))
    of = fidelity.metric_fid.fid_features_to_statistics
    (fid,) = fidelity.metric_fid.fid_statistics_to_metric(of(real), of(fake), False).values()
    assert frechet_distance(real, fake) == pytest.approx(fid, rel=1e-4)

    def estimate_kid(subsets: int, size: int) -> tuple[float, float]:
        mean, sd = fidelity.metric_kid.kid_features_to_metric(
            real, fake, kid_subsets=subsets, kid_subset_size=size, verbose=False
        ).values()
        return mean, sd / subsets**0.5

    kid = kernel_distance(real, fake)
    assert kid == pytest.approx(estimate_kid(1, 400)[0], rel=1e-3)
    mean, error = estimate_kid(400, 100)
    assert abs(kid - mean) < 5 * error


def test_the_net_is_that_of_torch_fidelity(
    hub: Path, shared: SharedInputs, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The net of the library with random weights, from its file of weights to its own distances."""
    fidelity = pytest.importorskip("torch_fidelity")
    module = fidelity.feature_extractor_inceptionv3
    assert module.URL_INCEPTION_V3 == inception_net.ADDRESS
    kind = module.FeatureExtractorInceptionV3
    hub.parent.mkdir(parents=True)
    with monkeypatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(kind, "load_state_dict", lambda *_: None)
        patch.setattr(torch, "load", lambda *_, **__: None)
        weights = kind("random", [inception_net.LAYER], "nowhere").state_dict()
    torch.save(weights, hub)
    digest = hashlib.sha256(hub.read_bytes()).hexdigest()
    monkeypatch.setattr(inception_net, "HASH", digest[:8])
    inception_net.load_extractor.cache_clear()
    few = replace(shared.data, test_x=shared.data.test_x[:12], test_y=shared.data.test_y[:12])
    inputs = make_inputs(SharedInputs(shared.store, few, EvaluationConfig(samples=8)), cell("vae"))
    values = finish(score_inception(inputs))[1]
    inception_net.load_extractor.cache_clear()
    _, samples = finish(draw_samples(inputs.model, 8, few))
    net = fidelity.utils.create_feature_extractor(
        "inception-v3-compat",
        [inception_net.LAYER],
        cuda=False,
        feature_extractor_weights_path=str(hub),
        verbose=False,
    )
    sets = [convert_to_bytes(x, (1, 28, 28)) for x in (samples, inputs.test_images)]
    of = fidelity.metric_fid.fid_features_to_statistics
    statistics = [of(net(images)[0]) for images in sets]
    (expected,) = fidelity.metric_fid.fid_statistics_to_metric(*statistics, False).values()
    assert values["fid"] == pytest.approx(expected, rel=1e-2)
