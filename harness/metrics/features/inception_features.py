"""Features of images in the Inception net: of the test images once a trial, of each cell's samples.

Images are bytes: values in [0, 1] times 255, rounded. One channel is repeated three times. The net
resizes them by its own rule.
"""

from collections.abc import Generator, MutableMapping
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from harness.evaluation.inputs import MetricInputs, SharedInputs
from harness.evaluation.samples import draw_samples
from harness.metrics.features import inception_net
from harness.metrics.features.compared import Features, scale_shares
from harness.metrics.features.inception_net import Extractor

OF_TESTS, OF_SAMPLES = "inception test images", "inception samples"  # names of kept features
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
    loaded. An interrupted computation continues after the images whose features are done.
    """
    shared, shape, unfinished = inputs.shared, inputs.shared.data.spec.shape, inputs.unfinished
    extractor = inception_net.load_extractor(shared.data.device)
    drawing = draw_samples(inputs.model, shared.evaluation.samples, shared.data)
    samples = yield from scale_shares(drawing, SAMPLING_END)
    if shared not in _test_features:
        work = extract_features(extractor, shared.test_images, shape, unfinished, OF_TESTS)
        _test_features[shared] = yield from scale_shares(work, TEST_END, SAMPLING_END)
    work = extract_features(extractor, samples, shape, unfinished, OF_SAMPLES)
    fake = yield from scale_shares(work, 1.0, TEST_END)
    for name in (OF_TESTS, OF_SAMPLES):
        unfinished.pop(name, None)
    return Features(_test_features[shared], fake)


@torch.inference_mode()
def extract_features(
    extractor: Extractor,
    images: Tensor,
    shape: tuple[int, ...],
    unfinished: MutableMapping[str, Tensor],
    name: str,
) -> Generator[float, None, Tensor]:
    """Images (n, dimensions) in [0, 1] of a shape (channels, height, width) -> (n, features).

    unfinished[name]: (done, features), those of the images that are done
    """
    for first in range(0, len(images), BATCH_SIZE):
        done = unfinished.get(name)
        if done is not None and len(done) > first:
            continue
        (features,) = extractor(convert_to_bytes(images[first : first + BATCH_SIZE], shape))
        found = features.cpu()
        unfinished[name] = found if done is None else torch.cat([done, found])
        yield len(unfinished[name]) / len(images)
    return unfinished[name].to(images.device)


def convert_to_bytes(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(n, dimensions) in [0, 1] -> (n, 3, height, width) from 0 to 255; values outside are cut."""
    values = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    return values.reshape(-1, *shape).expand(-1, 3, -1, -1)
