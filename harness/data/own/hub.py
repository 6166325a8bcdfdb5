"""Data sets of images from the Hugging Face Hub, read with its package `datasets`."""

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.data.own.arrays import describe_arrays, split_off_test
from harness.data.own.pictures import reduce_mode, stack_images
from harness.errors import InputError
from harness.plugins.dataset import DataSpec, Splits

LABEL_COLUMNS = ("label", "labels", "fine_label")
PARTS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation"}


def read_hub(name: str) -> tuple[DataSpec, Splits]:
    """The pictures and labels of a data set of the Hub.

    Its first column of pictures, and the column `label`, `labels` or `fine_label` if it has one.
    Without a part `test` the last tenth of `train` is the test set. InputError where the package
    is missing, the data set cannot be loaded or it has no pictures.
    """
    source = f"hf:{name}"
    loaded = _load(source, name)
    if "train" not in loaded:
        raise InputError(f"data set {source}: parts {', '.join(loaded)}; expected train")
    parts = {PARTS[part]: _read_part(source, loaded[part]) for part in loaded if part in PARTS}
    arrays = {} if "test" in parts else split_off_test(source, *parts.pop("train"))
    for part, (x, y) in parts.items():
        arrays |= {f"{part}_x": x, f"{part}_y": y}
    given = {key: value for key, value in arrays.items() if value is not None}
    return describe_arrays(source, given, {})


def _load(source: str, name: str) -> Mapping[str, Iterable[Mapping[str, Any]]]:
    try:
        package = importlib.import_module("datasets")
    except ImportError:
        raise InputError(
            f"data set {source} needs the package datasets; pip install generative-bench[hf]"
        ) from None
    try:
        return package.load_dataset(name)  # type: ignore[no-any-return]
    except Exception as error:  # whatever the package, the network or the set's files raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"data set {source} cannot be loaded: {reason}") from None


def _read_part(
    source: str, rows: Iterable[Mapping[str, Any]]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Pictures (n, channels, height, width) and labels (n,) of the rows of one part."""
    pictures, labels = [], []
    for index, row in enumerate(rows):
        image = next((value for value in row.values() if isinstance(value, Image.Image)), None)
        if image is None:
            raise InputError(
                f"data set {source}: columns {', '.join(row)}; expected a column of pictures"
            )
        row_name = f"{index} of {source}"
        pictures.append((row_name, reduce_mode(row_name, image)))
        labels += [row[column] for column in LABEL_COLUMNS if column in row][:1]
    if not pictures:
        raise InputError(f"data set {source}: a part is empty; expected pictures")
    return stack_images(pictures), np.array(labels) if labels else None
