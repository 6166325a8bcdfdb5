"""House numbers in colour."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.published_files import PublishedFile, combine_checksums, find_files
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset


@register_dataset("svhn")
class SVHN(Dataset):
    """Street View House Numbers, cropped digits (Netzer et al. 2011).

    73,257 training and 26,032 test images of 3 × 32 × 32 bytes, in the two .mat files that
    torchvision lists with their MD5; the extra training images are not used.
    """

    spec = DataSpec((3, 32, 32), "ordinal", levels=256, classes=10)
    origin = "Netzer et al., Stanford; non-commercial use"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the verified files."""
        from torchvision import datasets

        listed = [datasets.SVHN.split_list[part] for part in ("train", "test")]
        files = [PublishedFile(name, address, md5) for address, name, md5 in listed]
        train, test = (_read_mat(path) for path in find_files("svhn", files, "svhn", folder))
        return Splits(*train, *test, checksum=combine_checksums(files))


def _read_mat(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images (n, 3, 32, 32) and classes (n,); the files have class 10 for the digit 0."""
    from scipy.io import loadmat  # imported here: slow

    content = loadmat(path)
    images = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1))
    return images, content["y"].reshape(-1).astype(np.int64) % 10
