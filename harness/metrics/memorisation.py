"""The metric `memorisation`: whether samples are nearer to training images than test images are.

It is the chance that a random sample is nearer to its nearest training image than a random test
image to its own, with half of the ties. Source: Meehan, Chaudhuri and Dasgupta, A Non-Parametric
Test to Detect Data-Copying in Generative Models, 2020, section 3: their statistic Δ is 1 minus it,
before it is standardised and localised. At 0.5 samples are as near as test images; near 1 they are
copies; near 0 they are far from the data, as those of a poor model are. Distances are those of
binarised pixels, which are squared Euclidean distances.
"""

import torch
from torch import Tensor

from harness.evaluation.inputs import MetricInputs
from harness.evaluation.samples import draw_samples
from harness.metrics.latents import prepare_training_images
from harness.metrics.neighbours import CHUNK_SIZE, nearest_distances
from harness.plugins.metric import ScoreGenerator, register_metric

IMAGES = 2000  # samples and test images; each is compared with every training image


@register_metric(
    "memorisation",
    unit="",
    better=None,
    meaning="chance that a sample is nearer to the training images than a test image is, in "
    "pixels; 0.5 without memorisation",
    optional=True,
    most_images=IMAGES,
)
@torch.inference_mode()
def score_memorisation(inputs: MetricInputs) -> ScoreGenerator:
    """Column memorisation, of the first samples and the first test images."""
    shared = inputs.shared
    count = min(IMAGES, shared.evaluation.samples)
    samples = yield from draw_samples(inputs.model, count, shared.data)
    train = prepare_training_images(shared.data)
    images = [samples, shared.test_images[:IMAGES]]
    nearest: list[list[Tensor]] = [[], []]
    for side, found in zip(images, nearest, strict=True):
        for part in side.split(CHUNK_SIZE):
            found.append(nearest_distances(part, train))
            yield 0.99
    return {"memorisation": chance_below(torch.cat(nearest[0]), torch.cat(nearest[1]))}


def chance_below(a: Tensor, b: Tensor) -> float:
    """P(a < b) + P(a = b) / 2 of independent values (n,) and (m,): Mann and Whitney's U / nm."""
    ordered = b.sort().values
    below = torch.searchsorted(ordered, a, right=False)
    until = torch.searchsorted(ordered, a, right=True)
    return 1 - float((below + until).double().mean()) / (2 * len(b))
