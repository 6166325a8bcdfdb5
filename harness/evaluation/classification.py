"""The classes that a classifier predicts, and how many of them are right."""

import torch
from torch import Tensor

from harness.data.preparation import scale
from harness.evaluation.scored_images import CHUNK_SIZE
from harness.plugins.dataset import Data
from harness.plugins.model import Classifier, Model


@torch.inference_mode()
def test_set_accuracy(model: Model, data: Data) -> float | None:
    """Fraction of the grey test images classified correctly; None for other models."""
    if not isinstance(model, Classifier) or not data.spec.classes:
        return None
    return compute_accuracy(model, scale(data.test_x, data.spec), data.test_y)


@torch.inference_mode()
def predict_classes(classifier: Classifier, x: Tensor) -> Tensor:
    """The class that a classifier predicts for each image: (n, dimensions) -> (n,) int64."""
    return torch.cat([classifier.classify(images).argmax(-1) for images in x.split(CHUNK_SIZE)])


def compute_accuracy(classifier: Classifier, x: Tensor, y: Tensor) -> float:
    """Fraction of the images x (n, dimensions) whose class y (n,) is predicted correctly."""
    return float((predict_classes(classifier, x) == y).sum()) / len(y)
