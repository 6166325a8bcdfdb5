"""The accuracy of a model that classifies, and the classes that it predicts."""

import torch
from torch import Tensor

from harness.data.binarization import scale_to_unit
from harness.evaluation.scored_images import CHUNK_SIZE
from harness.plugins.dataset import Data
from harness.plugins.model import Classifier, Model


@torch.inference_mode()
def test_set_accuracy(model: Model, data: Data) -> float | None:
    """Fraction of the grey test images that a classifier names right; None for other models."""
    return (
        compute_accuracy(model, scale_to_unit(data.test_x), data.test_y)
        if isinstance(model, Classifier)
        else None
    )


@torch.inference_mode()
def predict_classes(classifier: Classifier, x: Tensor) -> Tensor:
    """The class that a classifier gives each image: (n, PIXELS) -> (n,)."""
    return torch.cat([classifier.classify(images).argmax(-1) for images in x.split(CHUNK_SIZE)])


def compute_accuracy(classifier: Classifier, x: Tensor, y: Tensor) -> float:
    """Fraction of images x (n, PIXELS) whose class y (n,) is named right."""
    return float((predict_classes(classifier, x) == y).sum()) / len(y)
