"""MNIST that was binarised once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import idx_sets
from harness.data.installed_files import verify_arrays
from harness.data.published_files import PublishedFile, combine_checksums, find_files
from harness.plugins.dataset import MNIST_SPEC, Dataset, Splits, register_dataset

ADDRESS = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"
# the checksums that TensorFlow Datasets publishes (url_checksums/binarized_mnist.txt)
LAROCHELLE_SHA256 = {
    "train": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "valid": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "test": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}
PIXELS = 28 * 28
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


@register_dataset("larochelle_mnist")
class LarochelleMNIST(Dataset):
    """MNIST as Larochelle and Murray (2011) binarised it, which published losses are of.

    50,000 training, 10,000 validation and 10,000 test images in three .amat files, without classes.
    """

    spec = replace(MNIST_SPEC, binarisation="static", classes=0)
    origin = "Larochelle's draw from MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0)"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the verified files."""
        files = [
            PublishedFile(
                name := f"binarized_mnist_{part}.amat", f"{ADDRESS}/{name}", sum_, "sha256"
            )
            for part, sum_ in LAROCHELLE_SHA256.items()
        ]
        paths = find_files("larochelle_mnist", files, "binarized_mnist", folder)
        train, validation, test = (_read_amat(path) for path in paths)
        return Splits(
            train, None, test, None, validation_x=validation, checksum=combine_checksums(files)
        )


def _read_amat(path: Path) -> NDArray[Any]:
    """Lines of 784 digits 0 or 1 with a space between: (n, 1, 28, 28)."""
    characters = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 2 * PIXELS)
    return (characters[:, ::2] - ord("0")).reshape(-1, 1, 28, 28)
