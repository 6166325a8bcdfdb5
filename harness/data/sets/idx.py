"""MNIST and the data sets in its format, binarised anew in every step.

Their files are pinned by checksums, so a name says what the data are.
"""

from pathlib import Path

from harness.data import idx_sets
from harness.plugins.dataset import MNIST_SPEC, Dataset, Splits, register_dataset


class _IDXSet(Dataset):
    """Four IDX files of 28 × 28 grey images."""

    spec = MNIST_SPEC
    pinned = True
    source = ""

    def load(self, folder: Path | None) -> Splits:
        """Read the verified files."""
        data = idx_sets.load(self.source, folder)
        images = [x.numpy().reshape(-1, *self.spec.shape) for x in (data.train_x, data.test_x)]
        return Splits(
            images[0],
            data.train_y.numpy(),
            images[1],
            data.test_y.numpy(),
            checksum=data.checksum,
        )


@register_dataset("mnist")
class MNIST(_IDXSet):
    """Handwritten digits (LeCun et al. 1998)."""

    source = "mnist"
    origin = "LeCun, Cortes, Burges; CC BY-SA 3.0"


@register_dataset("fashion_mnist")
class FashionMNIST(_IDXSet):
    """Articles of clothing (Xiao et al. 2017)."""

    source = "fashion_mnist"
    origin = "Zalando Research; MIT"


@register_dataset("kmnist")
class KMNIST(_IDXSet):
    """Cursive Japanese characters (Clanuwat et al. 2018)."""

    source = "kmnist"
    origin = "ROIS-DS Center for Open Data in the Humanities; CC BY-SA 4.0"


@register_dataset("emnist")
class EMNIST(_IDXSet):
    """Handwritten digits of EMNIST (Cohen et al. 2017)."""

    source = "emnist"
    origin = "NIST Special Database 19; public domain"
