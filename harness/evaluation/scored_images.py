"""The images that cells are scored on, and the noise of scoring, in chunks that fit into memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.data.preparation import is_drawn, prepare, scale
from harness.experiment import seeding
from harness.experiment.seeding import EvaluationPurpose
from harness.plugins.dataset import Data
from harness.plugins.model import Model, Noise, draw_noise

CHUNK_SIZE = 1000  # images scored at a time


def prepare_test_images(data: Data, dequantised: bool = False) -> Tensor:
    """The test images as models see them, the same for every cell and device: (n, dimensions).

    dequantised: whether they are ordinal images for models of a density
    """
    generator = seeding.evaluation_generator("test binarisation")
    return prepare(data.test_x.cpu(), data.spec, generator, dequantised).to(data.device)


def prepare_subset(data: Data, indices: Sequence[int]) -> Tensor:
    """The listed test images as models see them: (len(indices), dimensions) floats.

    Grey levels are binarised with numpy's RandomState(0) like in the source report.
    """
    listed = data.test_x[torch.tensor(indices, device=data.device)]
    scaled = scale(listed, data.spec)
    if not is_drawn(data.spec):
        return scaled
    binary = np.random.RandomState(0).binomial(1, scaled.cpu().numpy())
    return torch.from_numpy(binary).float().to(data.device)


def chunk_sizes(count: int) -> Iterator[int]:
    """The sizes of the chunks of `count` images: chunk_sizes(2500) gives 1000, 1000, 500."""
    while count > 0:
        yield min(CHUNK_SIZE, count)
        count -= CHUNK_SIZE


def draw_evaluation_noise(
    model: Model, n_images: int, purpose: EvaluationPurpose, index: int, device: torch.device
) -> Noise:
    """The noise of one draw of scoring for `n_images` images, on a device."""
    return to_device(
        draw_noise(model, n_images, seeding.evaluation_generator(purpose, index)), device
    )


def to_device(noise: Noise, device: torch.device) -> Noise:
    """The noise on a device.

    Noise is drawn on the CPU, so that it is the same for all devices.
    """
    return {name: draw.to(device) for name, draw in noise.items()}
