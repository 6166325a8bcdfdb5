"""MNIST that was binarised once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import idx_sets
from harness.data.installed_files import verify_arrays
from harness.plugins.dataset import MNIST_SPEC, Dataset, Splits, register_dataset

DRAW_SEED = 0
DRAW_SHA256 = "eb30c120b44a8424bb677521f413582ca01411b2f903c78df3a794f5956d61df"


@register_dataset("mnist_static")
class StaticMNIST(Dataset):
    """MNIST, each pixel drawn once from its grey level, with a fixed seed.

    This is a draw of our own, not the files of Larochelle and Murray (2011), which are
    `larochelle_mnist`: losses on it are no losses on those. It has all 60,000 training images and
    the classes.
    """

    spec = replace(MNIST_SPEC, binarisation="static")
    origin = "our own draw from MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0)"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Draw from the verified files of `mnist`."""
        data = idx_sets.load("mnist", folder)
        draws = np.random.RandomState(DRAW_SEED)
        images = [
            draw_pixels(x.numpy(), draws).reshape(-1, *self.spec.shape)
            for x in (data.train_x, data.test_x)
        ]
        splits = Splits(images[0], data.train_y.numpy(), images[1], data.test_y.numpy())
        return verify_arrays("mnist_static", splits, DRAW_SHA256)


def draw_pixels(grey: NDArray[Any], draws: np.random.RandomState) -> NDArray[Any]:
    """x ~ Bernoulli(grey / 255): bytes -> 0 or 1, of any shape.

    NumPy freezes the stream of RandomState, so the draw is the same for ever (NEP 19).
    """
    return (draws.randint(0, 255, grey.shape, dtype=np.uint8) < grey).astype(np.uint8)
