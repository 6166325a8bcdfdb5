"""Points near two circles of radius 1 and 2: a made-up data set of two dimensions."""

from pathlib import Path

import numpy as np

from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

RADII = (1.0, 2.0)
NOISE = 0.05  # standard deviation of a coordinate
IMAGES = (4000, 1000)  # of training and of test


@register_dataset("rings")
class Rings(Dataset):
    """Two circles; the class is the circle."""

    spec = DataSpec((2,), "continuous", classes=len(RADII))
    origin = "made up by a fixed seed"

    def load(self, folder: Path) -> Splits:
        """The same points every time."""
        generator = np.random.default_rng(0)
        (train_x, train_y), (test_x, test_y) = (draw(n, generator) for n in IMAGES)
        return Splits(train_x, train_y, test_x, test_y)


def draw(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2), and the circle (n,) of each."""
    circle = generator.integers(len(RADII), size=n)
    angle = generator.uniform(0, 2 * np.pi, n)
    on_circle = np.array(RADII)[circle, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    points = on_circle + generator.normal(0, NOISE, (n, 2))
    return points.astype(np.float32), circle
