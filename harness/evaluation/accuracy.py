"""The accuracy of a model that classifies, and the classes that it predicts."""

import torch
from torch import Tensor

from harness.data.binarization import scaled
from harness.evaluation.scored_images import CHUNK
from harness.plugins.dataset import Data
from harness.plugins.model import Classifier, Model


@torch.inference_mode()
def accuracy(model: Model, data: Data) -> float | None:
    """Fraction of the grey test images that a classifier names right; None for other models."""
    return hits(model, scaled(data.test_x), data.test_y) if isinstance(model, Classifier) else None


@torch.inference_mode()
def classes(classifier: Classifier, x: Tensor) -> Tensor:
    """The class that a classifier gives each image: (n, PIXELS) -> (n,)."""
    return torch.cat([classifier.classify(images).argmax(-1) for images in x.split(CHUNK)])


def hits(classifier: Classifier, x: Tensor, y: Tensor) -> float:
    """Fraction of images x (n, PIXELS) whose class y (n,) is named right."""
    return float((classes(classifier, x) == y).sum()) / len(y)
