"""Data that are no images: signals in one dimension."""

import random
from pathlib import Path

import numpy as np

from harness.data.installed_files import find_package
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset


@register_dataset("mnist1d")
class MNIST1D(Dataset):
    """MNIST-1D: 4,000 training and 1,000 test signals of 40 values (Greydanus, Kobak 2024).

    The generator of the package mnist1d makes them with its own seed and defaults; its file is not
    downloaded. The values have mean 0 and standard deviation 1. They are floats and may differ in
    the last digits between machines, so the ids of cells contain their checksum.
    """

    spec = DataSpec((40,), "continuous", classes=10)
    origin = "generator of the package mnist1d; Apache-2.0"

    def load(self, folder: Path | None) -> Splits:
        """Make the signals; the global random streams are left as they were."""
        find_package("mnist1d", "mnist1d", "mnist1d")
        from mnist1d.data import get_dataset_args, make_dataset

        states = random.getstate(), np.random.get_state()
        try:
            made = make_dataset(get_dataset_args())
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
        return Splits(
            made["x"].astype(np.float32),
            made["y"],
            made["x_test"].astype(np.float32),
            made["y_test"],
        )
