"""A user's own arrays: a .npz file with the splits, or a .npy file with all examples."""

import zipfile
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.own.inferred_spec import DECLARABLE, infer_spec
from harness.errors import InputError, unknown_name_error
from harness.plugins.dataset import DataSpec, Splits

REQUIRED = ("train_x", "test_x")
ARRAYS = tuple(part.name for part in fields(Splits) if part.name != "checksum")
TEST_SHARE = 10  # without a test set every tenth example, from the end, is in it


def read_npz(path: Path) -> tuple[DataSpec, Splits]:
    """The splits of a .npz file.

    Keys: `train_x`, `test_x` (n, *shape), `train_y`, `test_y` (n,), `validation_x`,
    `validation_y`, `test_factors` (n, factors), and the scalars `kind`, `levels`, `binarisation`
    and `classes` where they are not to be guessed. InputError if something does not fit.
    """
    arrays = _read_arrays(path)
    for key in arrays:
        if key not in (*ARRAYS, *DECLARABLE):
            raise unknown_name_error(f"key of {path}", key, (*ARRAYS, *DECLARABLE))
    for key in REQUIRED:
        if key not in arrays:
            raise InputError(f"data set {path}: no array {key}; it has {', '.join(arrays)}")
    declared = {key: _read_scalar(path, key, arrays[key]) for key in DECLARABLE if key in arrays}
    return describe_arrays(
        str(path), {key: arrays[key] for key in ARRAYS if key in arrays}, declared
    )


def read_npy(path: Path) -> tuple[DataSpec, Splits]:
    """The examples (n, *shape) of a .npy file; the last tenth of them is the test set."""
    try:
        with path.open("rb") as file:
            x = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable_error(path, error) from None
    return describe_arrays(str(path), split_off_test(str(path), x), {})


def split_off_test(source: str, x: NDArray[Any], y: Any = None) -> dict[str, Any]:
    """Training and test set of all examples: the last tenth, at least one, is for the test."""
    if x.ndim < 2 or len(x) < 2:
        raise InputError(f"data set {source}: shape {x.shape}; expected (n, ...) with n ≥ 2")
    test = max(1, len(x) // TEST_SHARE)
    parts = {"train_x": x[:-test], "test_x": x[-test:]}
    return parts if y is None else parts | {"train_y": y[:-test], "test_y": y[-test:]}


def describe_arrays(
    source: str, arrays: Mapping[str, NDArray[Any]], declared: Mapping[str, Any]
) -> tuple[DataSpec, Splits]:
    """The description of arrays by the names of `Splits`, and the arrays.

    Pictures (n, height, width) get a channel.
    """
    parts: dict[str, Any] = {"train_y": None, "test_y": None}
    for key, x in arrays.items():
        parts[key] = x[:, None] if key.endswith("_x") and x.ndim == 3 else x
    splits = Splits(**parts)
    spec = infer_spec(source, splits, declared)
    return _name_factors(source, spec, splits), splits


def _name_factors(source: str, spec: DataSpec, splits: Splits) -> DataSpec:
    factors = splits.test_factors
    if factors is None:
        return spec
    if factors.dtype.kind not in "buif" or factors.ndim != 2 or len(factors) != len(splits.test_x):
        raise InputError(
            f"data set {source}, test_factors: {factors.dtype} {factors.shape}; expected numbers "
            f"({len(splits.test_x)}, factors)"
        )
    names = tuple(f"factor_{index}" for index in range(factors.shape[1]))
    return replace(spec, factors=names)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, EOFError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise _unreadable_error(path, error) from None


def _unreadable_error(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(
        f"data set {path} cannot be read ({reason}); expected arrays of numbers as NumPy saves them"
    )


def _read_scalar(path: Path, key: str, value: NDArray[Any]) -> Any:
    if value.ndim or value.dtype.kind not in "Uiu":
        raise InputError(
            f"data set {path}, {key}: {value.dtype} {value.shape}; expected one word or integer"
        )
    return value.item()
