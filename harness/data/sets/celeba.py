"""Faces of celebrities in colour."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.data.published_files import PublishedFile, combine_checksums, find_files
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

IMAGES, PARTITION = "img_align_celeba.zip", "list_eval_partition.txt"
CROP, SIZE = 148, 64  # pixels
TRAIN, VALIDATION, TEST = "0", "1", "2"  # parts in the file of the partition


@register_dataset("celeba")
class CelebA(Dataset):
    """CelebA: 162,770 training, 19,867 validation and 19,962 test faces (Liu et al. 2015).

    The square of 148 pixels in the middle of the aligned images of 178 × 218, resized to 64 × 64,
    without classes. Loading takes minutes and 2.5 GB of memory. torchvision lists the files with
    their MD5.
    """

    spec = DataSpec((3, SIZE, SIZE), "ordinal", levels=256)
    origin = "Liu, Luo, Wang, Tang, CUHK; non-commercial research only"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the verified files."""
        from torchvision import datasets

        source = datasets.CelebA
        listed = {name: (address, md5) for address, md5, name in source.file_list}
        files = [PublishedFile(name, *listed[name]) for name in (IMAGES, PARTITION)]
        images, partition = find_files("celeba", files, source.base_folder, folder)
        part_of = dict(line.split() for line in partition.read_text().splitlines() if line)
        with zipfile.ZipFile(images) as archive:
            train, validation, test = (
                _read_faces(archive, [name for name, found in part_of.items() if found == part])
                for part in (TRAIN, VALIDATION, TEST)
            )
        return Splits(
            train, None, test, None, validation_x=validation, checksum=combine_checksums(files)
        )


def _read_faces(archive: zipfile.ZipFile, names: Sequence[str]) -> NDArray[Any]:
    """Faces in the order of their names: (n, 3, 64, 64) bytes."""
    faces = np.empty((len(names), 3, SIZE, SIZE), np.uint8)
    for face, name in zip(faces, names, strict=True):
        face[:] = crop_face(archive.read(f"img_align_celeba/{name}"))
    return faces


def crop_face(content: bytes) -> NDArray[Any]:
    """The middle of an encoded image, resized: (3, 64, 64) bytes."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    left, top = (image.width - CROP) // 2, (image.height - CROP) // 2
    middle = image.crop((left, top, left + CROP, top + CROP))
    return np.asarray(middle.resize((SIZE, SIZE), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
