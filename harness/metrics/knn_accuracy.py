"""The metric `knn_accuracy`: how well neighbours in latent space tell the class of an image."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.evaluation.inputs import MetricInputs
from harness.metrics.latents import encode_labelled, measure_accuracy
from harness.metrics.neighbours import CHUNK_SIZE, squared_distances
from harness.plugins.metric import ScoreGenerator, register_metric
from harness.plugins.model import Encoding

NEIGHBOURS = 5


@register_metric(
    "knn_accuracy",
    unit="",
    better="higher",
    meaning="fraction of test images whose class the 5 nearest training images in the means of "
    "q(z|x) tell",
    needs=(Encoding,),
    optional=True,
)
@torch.inference_mode()
def score_knn_accuracy(inputs: MetricInputs) -> ScoreGenerator:
    """Column knn_accuracy, a fraction."""
    train, classes, test, truth = encode_labelled(inputs)
    predicted = []
    for part in test.split(CHUNK_SIZE):
        predicted.append(predict_by_neighbours(train, classes, part, NEIGHBOURS))
        yield min(1.0, len(predicted) * CHUNK_SIZE / len(test))
    return {"knn_accuracy": measure_accuracy(torch.cat(predicted), truth)}


def predict_by_neighbours(train: Tensor, classes: Tensor, points: Tensor, k: int) -> Tensor:
    """The most frequent class (n,) of the k nearest training points; the lowest of several.

    train (m, d), classes (m,), points (n, d); Euclidean distances
    """
    nearest = squared_distances(points, train).topk(k, dim=1, largest=False).indices
    votes = F.one_hot(classes[nearest], int(classes.max()) + 1).sum(1)
    return votes.argmax(1)
