"""Sprites whose factors of variation are known."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.installed_files import verify_arrays
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

SIZE = 32  # pixels
SHAPES = ("square", "ellipse", "triangle")
RADII = (4.0, 5.0, 6.0, 7.0)  # pixels
ROTATIONS = np.arange(6) * np.pi / 12  # below 90 degrees, where a square looks the same again
PLACES = range(8, 24)  # pixels from the left and from the top
TEST_IMAGES = 2048
SPLIT_SEED = 0
SHA256 = "442fc23776e32a8e3d7a03bcecc4b2140b8c4bd7f4316d00aa80954cd08756a9"


@register_dataset("sprites")
class Sprites(Dataset):
    """A white shape on black, 32 × 32 pixels: every combination of five factors, once.

    3 shapes × 4 scales × 6 rotations × 16 places from the left × 16 from the top = 18,432 images,
    all different. They resemble dSprites (Matthey et al. 2017) and are not dSprites. A fixed
    permutation puts 2,048 images into the test set. Classes are the shapes; factors are the indices
    of their values.
    """

    spec = DataSpec(
        (1, SIZE, SIZE),
        classes=len(SHAPES),
        binarisation="static",
        factors=("shape", "scale", "rotation", "x", "y"),
    )
    origin = "drawn here; no file is read"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Draw all images."""
        images, factors = draw_sprites()
        order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
        train, test = order[:-TEST_IMAGES], order[-TEST_IMAGES:]
        splits = Splits(
            images[train],
            factors[train, 0],
            images[test],
            factors[test, 0],
            test_factors=factors[test],
        )
        return verify_arrays("sprites", splits, SHA256)


def draw_sprites() -> tuple[NDArray[Any], NDArray[Any]]:
    """All images (n, 1, 32, 32), 0 or 1, and the indices of the values of their factors (n, 5)."""
    sides = [range(len(values)) for values in (SHAPES, RADII, ROTATIONS, PLACES, PLACES)]
    factors = np.array(list(itertools.product(*sides)))
    middle = PLACES[-1]  # of a canvas from which the image of every place is cut
    images = np.empty((len(factors), 1, SIZE, SIZE), np.uint8)
    canvas = np.empty(0)
    for image, (shape, scale, rotation, x, y) in zip(images, factors, strict=True):
        if x == y == 0:
            canvas = draw_shape(SHAPES[shape], RADII[scale], ROTATIONS[rotation], middle)
        left, top = middle - PLACES[x], middle - PLACES[y]
        image[0] = canvas[top : top + SIZE, left : left + SIZE]
    return images, factors


def draw_shape(shape: str, radius: float, rotation: float, middle: int) -> NDArray[Any]:
    """A shape around the pixel (middle, middle): (2 middle + 1, 2 middle + 1), 0 or 1."""
    dy, dx = np.mgrid[-middle : middle + 1, -middle : middle + 1] / radius
    u = dx * np.cos(rotation) + dy * np.sin(rotation)
    v = dy * np.cos(rotation) - dx * np.sin(rotation)
    inside: dict[str, NDArray[Any]] = {
        "square": np.maximum(np.abs(u), np.abs(v)) < 0.74,
        "ellipse": u**2 + (v / 0.57) ** 2 < 1.03,
        "triangle": (v < 0.73) & (np.abs(u) * 1.9 < v + 1.01),
    }
    return inside[shape].astype(np.uint8)
