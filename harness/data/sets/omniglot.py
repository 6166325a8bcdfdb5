"""Handwritten characters of fifty alphabets."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.data.published_files import PublishedFile, combine_checksums, find_files
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

PARTS = ("images_background", "images_evaluation")
SIZE = 28  # pixels


@register_dataset("omniglot")
class Omniglot(Dataset):
    """Omniglot: 19,280 training and 13,180 test characters (Lake, Salakhutdinov, Tenenbaum 2015).

    The images of 105 × 105 pixels are averaged down to 28 × 28 grey levels, strokes white on black,
    and binarised anew in every step. Training images are those of the authors' background set and
    test images those of their evaluation set, whose alphabets differ, so there are no classes. This
    is not the split of Burda et al. (2016), so losses on it are no losses on theirs.
    """

    spec = DataSpec((1, SIZE, SIZE))
    origin = "Lake, Salakhutdinov, Tenenbaum; MIT"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the verified archives, which torchvision lists with their MD5."""
        from torchvision import datasets

        source = datasets.Omniglot
        files = [
            PublishedFile(
                f"{part}.zip", f"{source.download_url_prefix}/{part}.zip", source.zips_md5[part]
            )
            for part in PARTS
        ]
        paths = find_files("omniglot", files, source.folder, folder)
        train, test = (_read_archive(path) for path in paths)
        return Splits(train, None, test, None, checksum=combine_checksums(files))


def _read_archive(path: Path) -> NDArray[Any]:
    """All images of an archive in the order of their names: (n, 1, 28, 28) bytes."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        return np.stack([_shrink(archive.read(name)) for name in names])[:, None]


def _shrink(content: bytes) -> NDArray[Any]:
    """A black drawing on white -> grey levels (28, 28), white on black."""
    drawing = Image.open(io.BytesIO(content)).convert("L")
    return 255 - np.asarray(drawing.resize((SIZE, SIZE), Image.Resampling.BOX))
