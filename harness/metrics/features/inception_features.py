"""Features of images in the Inception net: of the test images once a trial, of each cell's samples.

Images are bytes: values in [0, 1] times 255, rounded. One channel is repeated three times. The net
resizes them by its own rule.
"""

from collections.abc import Generator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from harness.evaluation.inputs import MetricInputs, SharedInputs
from harness.evaluation.samples import draw_samples
from harness.metrics.features import inception_net
from harness.metrics.features.compared import Features, scale_shares
from harness.metrics.features.inception_net import Extractor

BATCH_SIZE = 50  # images that the net is given at a time
SAMPLING_END, TEST_END = 0.1, 0.5  # shares of the work that are done then, roughly

_test_features: WeakKeyDictionary[SharedInputs, Tensor] = WeakKeyDictionary()


def has_features(inputs: MetricInputs) -> bool:
    """Whether a cell has samples that are images of one or three channels, with values in [0, 1].

    Continuous data have no known range.
    """
    spec = inputs.shared.data.spec
    return inputs.cell.has_bound and spec.is_image and spec.kind != "continuous"


@torch.inference_mode()
def compute_inception_features(inputs: MetricInputs) -> Generator[float, None, Features]:
    """Features of the test images and of the samples in which digits are counted, float32.

    Test images are binarised or scaled as models see them. InputError where the net cannot be
    loaded.
    """
    shared, shape = inputs.shared, inputs.shared.data.spec.shape
    extractor = inception_net.load_extractor(shared.data.device)
    drawing = draw_samples(inputs.model, shared.evaluation.samples, shared.data)
    samples = yield from scale_shares(drawing, SAMPLING_END)
    if shared not in _test_features:
        work = extract_features(extractor, shared.test_images, shape)
        _test_features[shared] = yield from scale_shares(work, TEST_END, SAMPLING_END)
    work = extract_features(extractor, samples, shape)
    fake = yield from scale_shares(work, 1.0, TEST_END)
    return Features(_test_features[shared], fake)


@torch.inference_mode()
def extract_features(
    extractor: Extractor, images: Tensor, shape: tuple[int, ...]
) -> Generator[float, None, Tensor]:
    """Images (n, dimensions) in [0, 1] of a shape (channels, height, width) -> (n, features)."""
    found: list[Tensor] = []
    for chunk in images.split(BATCH_SIZE):
        (features,) = extractor(convert_to_bytes(chunk, shape))
        found.append(features)
        yield min(1.0, len(found) * BATCH_SIZE / len(images))
    return torch.cat(found)


def convert_to_bytes(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(n, dimensions) in [0, 1] -> (n, 3, height, width) from 0 to 255; values outside are cut."""
    values = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    return values.reshape(-1, *shape).expand(-1, 3, -1, -1)
