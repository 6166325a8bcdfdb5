"""Features of images: the penultimate layer of the digit classifier, the judge of samples.

They are not those of an Inception net, so distances between them are comparable only within one
data set and one judge, and have other names than FID and KID.
"""

from collections.abc import Generator

import torch
from torch import Tensor, nn

from harness.evaluation.digit_classifier import Net
from harness.evaluation.inputs import MetricInputs
from harness.evaluation.samples import draw_samples
from harness.evaluation.scored_images import CHUNK_SIZE
from harness.metrics.features.compared import Features, scale_shares

SAMPLING_SHARE = 0.3  # of the work of a metric, roughly


@torch.inference_mode()
def compute_features(inputs: MetricInputs) -> Generator[float, None, Features]:
    """The features that a metric compares, in float64.

    The samples are those in which digits are counted.
    """
    shared = inputs.shared
    sampling = draw_samples(inputs.model, shared.evaluation.samples, shared.data)
    if shared.digit_classifier is None:
        raise ValueError(
            f"data set '{shared.data.name}' has no classes; expected classes, for the classifier "
            "whose features are compared"
        )
    samples = yield from scale_shares(sampling, SAMPLING_SHARE)
    net = shared.digit_classifier.net
    return Features(extract_features(net, shared.test_images), extract_features(net, samples))


@torch.inference_mode()
def extract_features(net: Net, images: Tensor) -> Tensor:
    """The input of the last linear layer: (n, dimensions) -> (n, features), float64."""
    last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    found: list[Tensor] = []
    handle = last.register_forward_pre_hook(lambda _, given: found.append(given[0].double()))
    try:
        for chunk in images.split(CHUNK_SIZE):
            net.classify(chunk)
    finally:
        handle.remove()
    return torch.cat(found)
