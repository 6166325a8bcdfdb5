"""Small colour patches of photographs."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.data.installed_files import find_package, read_package_file, verify_arrays
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

# those that are stored without loss: every decoder gives the same bytes
TRAINING_PHOTOGRAPHS = ("astronaut", "ihc", "motorcycle_left")
TEST_PHOTOGRAPHS = ("chelsea", "coffee")
TRAINING_PATCHES, TEST_PATCHES = 20_000, 2_000
SIZE = 32  # pixels
DRAW_SEED = 0
SHA256 = "d5a19d642ba6d273d9eb75e400584c3999abe7ef0e8b35fb8f6abcc0928e9827"


@register_dataset("patches")
class Patches(Dataset):
    """Colour patches of 32 × 32 pixels from photographs of scikit-image, without classes.

    20,000 training patches from `astronaut`, `ihc` and `motorcycle_left` and 2,000 test patches
    from `chelsea` and `coffee`, at places drawn with a fixed seed; patches of one photograph may
    overlap.
    """

    spec = DataSpec((3, SIZE, SIZE), "ordinal", levels=256)
    origin = "photographs of scikit-image (public domain and CC0)"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Cut the patches from the photographs of the package scikit-image."""
        root = find_package("patches", "scikit-image", "skimage") / "data"
        draws = np.random.RandomState(DRAW_SEED)
        train, test = (
            cut_patches([_read_photograph(root, name) for name in names], count, draws)
            for names, count in (
                (TRAINING_PHOTOGRAPHS, TRAINING_PATCHES),
                (TEST_PHOTOGRAPHS, TEST_PATCHES),
            )
        )
        return verify_arrays("patches", Splits(train, None, test, None), SHA256)


def cut_patches(
    photographs: Sequence[NDArray[Any]], count: int, draws: np.random.RandomState
) -> NDArray[Any]:
    """Patches of photographs (3, height, width), drawn from each in turn: (count, 3, 32, 32)."""
    patches = np.empty((count, 3, SIZE, SIZE), np.uint8)
    for index in range(count):
        photograph = photographs[index % len(photographs)]
        top, left = (draws.randint(side - SIZE + 1) for side in photograph.shape[1:])
        patches[index] = photograph[:, top : top + SIZE, left : left + SIZE]
    return patches


def _read_photograph(root: Path, name: str) -> NDArray[Any]:
    content = read_package_file("patches", root / f"{name}.png")
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1)
