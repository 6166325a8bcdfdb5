"""Small colour photographs of ten things."""

import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.published_files import PublishedFile, combine_checksums, find_files
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset


@register_dataset("cifar10")
class CIFAR10(Dataset):
    """CIFAR-10: 50,000 training and 10,000 test images of 3 × 32 × 32 bytes (Krizhevsky 2009).

    They are in the archive for Python that torchvision lists with its MD5.
    """

    spec = DataSpec((3, 32, 32), "ordinal", levels=256, classes=10)
    origin = "Krizhevsky, Nair, Hinton, Toronto; no licence given"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the verified archive."""
        from torchvision import datasets

        source = datasets.CIFAR10
        file = PublishedFile(source.filename, source.url, source.tgz_md5)
        (path,) = find_files("cifar10", [file], "cifar10", folder)
        with tarfile.open(path) as archive:
            train, test = (
                _read_batches(archive, [f"{source.base_folder}/{name}" for name, _ in batches])
                for batches in (source.train_list, source.test_list)
            )
        return Splits(*train, *test, checksum=combine_checksums([file]))


def _read_batches(
    archive: tarfile.TarFile, names: Sequence[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images (n, 3, 32, 32) and classes (n,) of pickled batches; the archive has been verified."""
    batches = [pickle.load(_open_member(archive, name), encoding="latin1") for name in names]
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return images, np.concatenate([batch["labels"] for batch in batches]).astype(np.int64)


def _open_member(archive: tarfile.TarFile, name: str) -> Any:
    return archive.extractfile(name)
