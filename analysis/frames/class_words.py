"""What the classes of data sets are called in captions: digits, or classes."""

from typing import Literal

import pandas as pd

# data sets of `harness.data.sets` whose classes are the digits 0 to 9
DIGIT_DATASETS = frozenset(
    {
        "digits",
        "emnist",
        "larochelle_mnist",
        "mnist",
        "mnist1d",
        "mnist_grey",
        "mnist_static",
        "svhn",
    }
)
ClassWord = Literal["digit", "class"]
PLURALS: dict[ClassWord, str] = {"digit": "digits", "class": "classes"}


def choose_class_word(rows: pd.DataFrame) -> ClassWord:
    """Results table -> "digit" where the classes of all its data sets are digits, else "class".

    >>> [choose_class_word(pd.DataFrame({"dataset": [n, "mnist"]})) for n in ("svhn", "kmnist")]
    ['digit', 'class']
    """
    return "digit" if rows["dataset"].isin(DIGIT_DATASETS).all() else "class"
