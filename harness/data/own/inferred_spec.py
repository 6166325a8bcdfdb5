"""What kind of data a user's arrays are, read off their types and values."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError, short_repr, unknown_name_error
from harness.plugins.dataset import Binarisation, DataSpec, Kind, Splits

MAX_LEVELS = 2**16  # of ordinal data
PARTS = ("train", "test", "validation")
CHOICES = {"kind": get_args(Kind), "binarisation": get_args(Binarisation)}
LIMITS = {"levels": (2, MAX_LEVELS), "classes": (0, 2**31)}
DECLARABLE = (*CHOICES, *LIMITS)


def infer_spec(source: str, splits: Splits, declared: Mapping[str, Any]) -> DataSpec:
    """The description of arrays; what is declared is taken from there.

    source: what an error calls the data set
    declared: values of `DECLARABLE`

    Only 0 and 1: binary and static. Integers: ordinal, with 256 levels for bytes, else as many as
    the largest value needs. Other numbers: continuous. InputError for arrays that fit no kind.
    """
    for name, value in declared.items():
        _check_declared(source, name, value)
    images = {f"{part}_x": x for part, x in _list_images(splits)}
    for key, x in images.items():
        _check_images(f"data set {source}, {key}", x, splits.train_x.shape[1:])
    arrays = list(images.values())
    highest = max(int(x.max()) for x in arrays)
    spec = DataSpec(
        shape=splits.train_x.shape[1:],
        kind=declared.get("kind", _guess_kind(arrays)),
        classes=declared.get("classes", _count_classes(source, splits)),
        binarisation=declared.get("binarisation", "static" if highest <= 1 else "dynamic"),
    )
    if spec.kind != "ordinal":
        return spec
    is_bytes = all(x.dtype == np.uint8 for x in arrays)
    levels = declared.get("levels", 256 if is_bytes else max(2, highest + 1))
    if levels > MAX_LEVELS:
        raise InputError(
            f"data set {source}: integers up to {highest:,}; expected at most {MAX_LEVELS:,} "
            "levels, or floats"
        )
    return replace(spec, levels=levels)


def _list_images(splits: Splits) -> Iterator[tuple[str, NDArray[Any]]]:
    for part in PARTS:
        x = getattr(splits, f"{part}_x")
        if x is not None:
            yield part, x


def _guess_kind(arrays: list[NDArray[Any]]) -> Kind:
    if all(((x == 0) | (x == 1)).all() for x in arrays):
        return "binary"
    return "ordinal" if all(x.dtype.kind in "bui" for x in arrays) else "continuous"


def _check_declared(source: str, name: str, value: Any) -> None:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise unknown_name_error(f"{name} of data (key of {source})", str(value), CHOICES[name])
        return
    low, high = LIMITS[name]
    if not isinstance(value, int) or not low <= value <= high:
        raise InputError(
            f"data set {source}, {name}: got {short_repr(value)}; expected an integer from {low} "
            f"to {high:,}"
        )


def _check_images(what: str, x: NDArray[Any], shape: tuple[int, ...]) -> None:
    if x.dtype.kind not in "buif":
        raise InputError(f"{what}: type {x.dtype}; expected numbers")
    if x.ndim < 2 or not x.size:
        raise InputError(f"{what}: shape {x.shape}; expected (n, ...), one row an example")
    if x.shape[1:] != shape:
        raise InputError(
            f"{what}: shape {x.shape}; expected (n, {', '.join(map(str, shape))}) as train_x"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InputError(f"{what}: a value is nan or infinite; expected finite numbers")


def _count_classes(source: str, splits: Splits) -> int:
    """One more than the largest label; 0 without labels. InputError for labels that do not fit."""
    has_labels = splits.train_y is not None
    highest = -1
    for part, x in _list_images(splits):
        y, key = getattr(splits, f"{part}_y"), f"{part}_y"
        if (y is not None) != has_labels:
            state = "missing" if has_labels else "there without train_y"
            raise InputError(f"data set {source}: {key} is {state}; expected labels of all or none")
        if y is not None:
            _check_labels(f"data set {source}, {key}", y, len(x))
            highest = max(highest, math.floor(y.max()))
    return highest + 1


def _check_labels(what: str, y: NDArray[Any], images: int) -> None:
    if y.dtype.kind not in "buif":
        raise InputError(f"{what}: type {y.dtype}; expected integers from 0 on")
    if y.shape != (images,):
        raise InputError(f"{what}: shape {y.shape}; expected ({images},), a label for each image")
    limit = LIMITS["classes"][1]
    if not np.isfinite(y).all() or (y != np.floor(y)).any() or y.min() < 0 or y.max() >= limit:
        raise InputError(f"{what}: values from {y.min()} to {y.max()}; expected integers from 0 on")
