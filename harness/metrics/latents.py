"""The means of q(z|x) of binarised images, from which metrics of the latent variables are made."""

import torch
from torch import Tensor

from harness.data.preparation import prepare
from harness.evaluation.inputs import MetricInputs
from harness.evaluation.scored_images import CHUNK_SIZE
from harness.experiment import seeding
from harness.plugins.dataset import Data
from harness.plugins.model import Encoding, sees_dequantised


@torch.inference_mode()
def encode_means(inputs: MetricInputs, x: Tensor) -> Tensor:
    """Images (n, dimensions) -> the means of q(z|x), (n, latent), in float64.

    ValueError where the model's `encode` does not give mean and variance of this shape.
    """
    assert isinstance(inputs.model, Encoding)
    means = []
    for images in x.split(CHUNK_SIZE):
        mean, var = inputs.model.encode(images)
        if mean.shape != var.shape or mean.ndim != 2 or len(mean) != len(images):
            raise ValueError(
                f"encode gave {tuple(mean.shape)} and {tuple(var.shape)}; expected mean and "
                f"variance of shape ({len(images)}, latent)"
            )
        means.append(mean.double())
    return torch.cat(means)


@torch.inference_mode()
def encode_labelled(inputs: MetricInputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means and classes of the training images, then of the test images.

    (n, latent) and (n,) each; the images are binarised once, the same for every cell.
    """
    data = inputs.shared.data
    train = encode_means(inputs, prepare_training_images(data, sees_dequantised(inputs.model)))
    test = encode_means(inputs, inputs.test_images)
    return train, data.train_y, test, data.test_y


def prepare_training_images(data: Data, dequantised: bool = False) -> Tensor:
    """The training images as models see them, the same for every cell: (n, dimensions)."""
    generator = seeding.evaluation_generator("training images")
    return prepare(data.train_x.cpu(), data.spec, generator, dequantised).to(data.device)


def measure_accuracy(predicted: Tensor, classes: Tensor) -> float:
    """The fraction of the predicted classes (n,) that are right."""
    return float((predicted == classes).double().mean())
