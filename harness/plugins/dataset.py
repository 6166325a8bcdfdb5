"""The contract of a data set, and data sets by name.

@register_dataset("digits")
class Digits(Dataset):
    spec = DataSpec(shape=(1, 8, 8), kind="ordinal", levels=17, classes=10)

    def load(self, folder: Path | None) -> Splits:
        images, classes = my_arrays()  # (n, 1, 8, 8) and (n,)
        return Splits(images[:1400], classes[:1400], images[1400:], classes[1400:])
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from harness.errors import InputError

Kind = Literal["binary", "ordinal", "continuous"]
Binarisation = Literal["dynamic", "static"]


@dataclass(frozen=True)
class DataSpec:
    """What a model needs to know about a data set.

    shape: of one image, channels first; any shape is allowed
    kind: "binary"; "ordinal", integers from 0 to `levels` - 1; or "continuous"
    levels: number of levels of ordinal data
    classes: number of classes, 0 for data without labels
    binarisation: of binary data: "dynamic" draws each pixel from its grey level (0 to 255) anew in
        every step; "static" data are 0 or 1 as they are
    factors: names of the known factors of variation
    """

    shape: tuple[int, ...]
    kind: Kind = "binary"
    levels: int = 2
    classes: int = 0
    binarisation: Binarisation = "dynamic"
    factors: tuple[str, ...] = ()

    @property
    def dimensions(self) -> int:
        """Values of one image: models see vectors of this length."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        """Whether one example is a picture of one or three channels, height and width."""
        return len(self.shape) == 3 and self.shape[0] in (1, 3)


MNIST_SPEC = DataSpec((1, 28, 28), classes=10)


@dataclass(frozen=True)
class Splits:
    """A data set as NumPy arrays.

    train_x, test_x, validation_x: (n, *shape); grey levels as bytes for dynamic binarisation,
        0 or 1 for static, integers for ordinal, floats for continuous data
    train_y, test_y, validation_y: classes (n,), or None for data without labels
    test_factors: values of the factors of variation, (n, factors)
    checksum: of the source, if there is a better one than that of the arrays

    Without validation images a grid can hold out training images (key `validation`).
    """

    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any
    validation_x: Any = None
    validation_y: Any = None
    test_factors: Any = None
    checksum: str = ""


class Dataset(ABC):
    """A data set. `spec` may also be an attribute of the instance."""

    spec: DataSpec
    origin: ClassVar[str] = ""  # licence or origin, in a few words
    # whether `load` refuses every content but one, so that the name says what the data are
    pinned: ClassVar[bool] = False

    @abstractmethod
    def load(self, folder: Path | None) -> Splits:
        """Read the data.

        folder: the only place to look, where a user named one; by default the cache of this
            machine (`harness.data.download.cache_folder`)

        InputError if files are missing or wrong.
        """


D = TypeVar("D", bound=type[Dataset])
registered_datasets: dict[str, Dataset] = {}  # by name


def register_dataset(name: str) -> Callable[[D], D]:
    """Class decorator: register a data set as `name`.

    InputError if another class has the name.
    """

    def add(dataset: D) -> D:
        add_dataset(name, dataset())
        return dataset

    return add


def add_dataset(name: str, dataset: Dataset) -> None:
    """Register an instance as `name`; InputError if one of another class has the name."""
    taken = registered_datasets.get(name)
    if taken is not None and _full_name(taken) != _full_name(dataset):
        raise InputError(
            f"data set name '{name}' is taken by {type(taken).__module__}; expected another name"
        )
    registered_datasets[name] = dataset


def _full_name(dataset: Dataset) -> tuple[str, str]:
    return type(dataset).__module__, type(dataset).__qualname__


@dataclass(frozen=True)
class Data:
    """A loaded data set.

    train_x, test_x, validation_x: (n, dimensions), stored as `Splits` says
    train_y, test_y, validation_y: classes (n,), int64; zeros for data without labels
    checksum: over the checksums of its files, or of its arrays
    test_factors: (n, factors)
    """

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    checksum: str
    spec: DataSpec = MNIST_SPEC
    validation_x: Tensor | None = None
    validation_y: Tensor | None = None
    test_factors: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where models are trained and scored; large training images may lie elsewhere."""
        return self.test_x.device

    def without_test(self) -> "Data":
        """The same data with no test image, for trainings that must not see any."""
        return replace(self, test_x=self.test_x[:0], test_y=self.test_y[:0], test_factors=None)

    def to(self, device: torch.device, max_train_bytes: float = math.inf) -> "Data":
        """The same data on a device.

        Training images of more than `max_train_bytes` bytes stay where they are; the images of each
        step are then moved.
        """
        stays = {"train_x"} if self.train_x.nbytes > max_train_bytes else set()
        moved: dict[str, Any] = {
            part.name: value.to(device)
            for part in fields(self)
            if part.name not in stays and isinstance(value := getattr(self, part.name), Tensor)
        }
        return replace(self, **moved)


def make_data(name: str, spec: DataSpec, splits: Splits, checksum: str) -> Data:
    """The tensors of arrays that have been checked; classes are zeros where there are none."""

    def flatten(x: Any) -> Tensor:
        array = np.ascontiguousarray(x, dtype=_stored_type(spec))
        return torch.from_numpy(array.reshape(len(x), spec.dimensions).copy())

    def convert_classes(y: Any, x: Any) -> Tensor:
        return torch.from_numpy(np.asarray(np.zeros(len(x)) if y is None else y, dtype=np.int64))

    has_validation = splits.validation_x is not None
    return Data(
        name,
        flatten(splits.train_x),
        convert_classes(splits.train_y, splits.train_x),
        flatten(splits.test_x),
        convert_classes(splits.test_y, splits.test_x),
        checksum,
        spec,
        flatten(splits.validation_x) if has_validation else None,
        convert_classes(splits.validation_y, splits.validation_x) if has_validation else None,
        None if splits.test_factors is None else torch.as_tensor(splits.test_factors),
    )


def _stored_type(spec: DataSpec) -> str:
    """The type of stored values: the smallest that holds them."""
    if spec.kind == "continuous":
        return "float32"
    return "uint8" if spec.levels <= 256 else "int32"
