"""scikit-learn's small digits: the quickest set of the shipped ones."""

import gzip
from pathlib import Path

import numpy as np

from harness.data.installed_files import find_package, read_package_file, verify_arrays
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

TRAINING_IMAGES = 1437  # of 1,797
SPLIT_SEED = 0
SHA256 = "683309282af356e7bda453e1a4f2b690cc377781f15dff2a0d5c8e1716eb120e"


@register_dataset("digits")
class Digits(Dataset):
    """1,797 handwritten digits of 8 × 8 pixels with 17 levels (Alpaydin and Kaynak 1998).

    They are the test set of the UCI data set "Optical Recognition of Handwritten Digits", as
    scikit-learn's `load_digits` has it. A fixed permutation puts 1,437 of them into the training
    and 360 into the test set, so writers are in both.
    """

    spec = DataSpec((1, 8, 8), "ordinal", levels=17, classes=10)
    origin = "UCI (Alpaydin, Kaynak; CC BY 4.0), from scikit-learn"
    pinned = True

    def load(self, folder: Path | None) -> Splits:
        """Read the file of the package scikit-learn, whose import would take a second."""
        place = find_package("digits", "scikit-learn", "sklearn") / "datasets" / "data"
        lines = gzip.decompress(read_package_file("digits", place / "digits.csv.gz")).splitlines()
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)  # the last column is the class
        x, y = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)
        order = np.random.RandomState(SPLIT_SEED).permutation(len(x))
        train, test = order[:TRAINING_IMAGES], order[TRAINING_IMAGES:]
        return verify_arrays("digits", Splits(x[train], y[train], x[test], y[test]), SHA256)
