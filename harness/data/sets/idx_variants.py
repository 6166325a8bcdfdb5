"""MNIST and Fashion-MNIST as grey levels, and the letters of EMNIST.

They are read from the same verified files as the data sets of version 0.1.
"""

from dataclasses import replace
from pathlib import Path

from harness.data import idx_sets
from harness.data.sets.idx import MNIST, FashionMNIST
from harness.plugins.dataset import MNIST_SPEC, Dataset, Splits, register_dataset

GREY_SPEC = replace(MNIST_SPEC, kind="ordinal", levels=256)


@register_dataset("mnist_grey")
class GreyMNIST(MNIST):
    """MNIST's 256 grey levels as they are (LeCun et al. 1998)."""

    spec = GREY_SPEC


@register_dataset("fashion_mnist_grey")
class GreyFashionMNIST(FashionMNIST):
    """Fashion-MNIST's 256 grey levels as they are (Xiao et al. 2017)."""

    spec = GREY_SPEC


@register_dataset("emnist_letters")
class EMNISTLetters(Dataset):
    """Handwritten letters, capital and small ones in one class (Cohen et al. 2017).

    The split "letters" of EMNIST: 124,800 training and 20,800 test images, binarised anew in every
    step. They are in the same archive as `emnist`.
    """

    spec = replace(MNIST_SPEC, classes=26)
    origin = "NIST Special Database 19; public domain"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the verified archive."""
        data = idx_sets.load_letters(folder)
        images = [x.numpy().reshape(-1, *self.spec.shape) for x in (data.train_x, data.test_x)]
        return Splits(images[0], data.train_y.numpy(), images[1], data.test_y.numpy())
