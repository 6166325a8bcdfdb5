"""Loads a registered data set and checks what it gives."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Data, Dataset, DataSpec, Splits, make_data

VERSION_DIGITS = 12  # of the checksum, in the id of a cell


def load(name: str, folder: str | Path | None = None) -> Data:
    """The data set registered as `name`, checked.

    folder: the only place to look; by default the cache, where missing files are downloaded

    InputError for an unknown name and for data that do not fit their description.
    """
    dataset = registry.lookup_dataset(name)
    splits = dataset.load(_check_folder(folder))
    _check_splits(name, dataset.spec, splits)
    data = make_data(name, dataset.spec, splits, splits.checksum or hash_arrays(splits))
    registry.remember_spec(data.name, data.spec)
    return data


class DatasetLoader:
    """Loads each data set of a run once, from one folder or from the cache."""

    def __init__(self, folder: str | Path | None = None):
        self.folder = folder
        self._loaded: dict[str, Data] = {}

    def load(self, name: str) -> Data:
        """The data set registered as `name`; InputError as in `load`."""
        if name not in self._loaded:
            self._loaded[name] = load(name, self.folder)
        return self._loaded[name]

    def version(self, name: str) -> str:
        """What the id of a cell has for the content of its data set.

        It is empty for a data set whose content its name says, which is not loaded for this.
        """
        if registry.lookup_dataset(name).pinned:
            return ""
        return self.load(name).checksum[:VERSION_DIGITS]


def hash_arrays(splits: Splits) -> str:
    """SHA-256 of the values, types and shapes of all arrays."""
    digest = hashlib.sha256()
    for part in vars(splits).values():
        if part is not None and not isinstance(part, str):
            array: Any = np.ascontiguousarray(part)
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array)
    return digest.hexdigest()


def _check_folder(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise InputError(f"data folder {str(folder)!r} does not exist; expected a folder of files")
    return path


def _check_splits(name: str, spec: DataSpec, splits: Splits) -> None:
    """InputError where the arrays are not what the description says."""
    for split in ("train", "test", "validation"):
        x, y = getattr(splits, f"{split}_x"), getattr(splits, f"{split}_y")
        if x is None and split == "validation":
            continue
        what = f"data set '{name}', {split} images"
        _check_images(what, spec, np.asarray(x))
        if spec.classes:
            _check_classes(f"data set '{name}', {split} classes", spec, len(x), y)
    factors = splits.test_factors
    if factors is not None and np.shape(factors) != (len(splits.test_x), len(spec.factors)):
        raise InputError(
            f"data set '{name}', factors: shape {np.shape(factors)}; expected "
            f"{(len(splits.test_x), len(spec.factors))}"
        )


def _check_images(what: str, spec: DataSpec, x: Any) -> None:
    size = int(np.prod(x.shape[1:]))
    if x.ndim < 2 or len(x) == 0 or (x.shape[1:] != spec.shape and size != spec.dimensions):
        raise InputError(
            f"{what}: shape {x.shape}; expected (n, {', '.join(map(str, spec.shape))})"
        )
    if x.dtype.kind not in "buif":
        raise InputError(f"{what}: type {x.dtype}; expected numbers")
    is_float = x.dtype.kind == "f"
    if is_float and not np.isfinite(x).all():
        raise InputError(f"{what}: a value is nan or infinite; expected finite numbers")
    if spec.kind == "continuous":
        _check_range(what, x)
        return
    highest = _highest_level(spec)
    if x.min() < 0 or x.max() > highest or (is_float and (x != np.floor(x)).any()):
        raise InputError(
            f"{what}: values from {x.min():g} to {x.max():g}; expected integers from 0 to {highest}"
        )


def _check_range(what: str, x: Any) -> None:
    """InputError where a value has no finite form of 32 bits."""
    limit = float(np.finfo(np.float32).max)
    if float(x.min()) < -limit or float(x.max()) > limit:
        raise InputError(
            f"{what}: values from {x.min():g} to {x.max():g}; expected at most {limit:g} in size"
        )


def _highest_level(spec: DataSpec) -> int:
    if spec.kind == "ordinal":
        return spec.levels - 1
    return 255 if spec.binarisation == "dynamic" else 1


def _check_classes(what: str, spec: DataSpec, images: int, y: Any) -> None:
    if y is None:
        raise InputError(f"{what}: there are none; expected {images} of {spec.classes} classes")
    classes = np.asarray(y)
    if classes.shape != (images,):
        raise InputError(f"{what}: shape {classes.shape}; expected ({images},)")
    if classes.min() < 0 or classes.max() >= spec.classes or (classes != np.floor(classes)).any():
        raise InputError(
            f"{what}: values from {classes.min():g} to {classes.max():g}; expected integers from 0 "
            f"to {spec.classes - 1}"
        )


def describe(name: str, dataset: Dataset) -> str:
    """One line about a data set: shape, kind, classes and origin."""
    spec = dataset.spec
    kind = f"{spec.levels} levels" if spec.kind == "ordinal" else spec.kind
    if spec.kind == "binary":
        kind = f"binary ({spec.binarisation})"
    shape = "×".join(map(str, spec.shape))
    return f"{name}: {shape}, {kind}, {spec.classes or 'no'} classes. {dataset.origin}".rstrip()
