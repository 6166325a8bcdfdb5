"""What cells are scored on: the test set always, a listed subset and IWAE bounds on request."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.experiment.grid import DEFAULT_SAMPLES, ListedDraw
from harness.experiment.metrics import describe_iwae
from harness.experiment.validation import format_validation_error

Index = Annotated[int, Field(ge=0)]


class SubsetFile(BaseModel):
    """A user's file of image lists: indices of test and training images, in file order."""

    dataset: str
    evaluation_test_indices: Annotated[list[Index], Field(min_length=1)]
    labelled_train_indices: list[Index] = []


@dataclass(frozen=True)
class MetricRequest:
    """A metric besides those that every cell is scored on.

    metric: its name
    columns: the columns that it fills
    models: names of the models that offer what it needs
    needs_bound: whether it scores only cells with a bound
    """

    metric: str
    columns: tuple[str, ...]
    models: tuple[str, ...]
    needs_bound: bool = True

    def covers(self, cell: Cell) -> bool:
        """Whether the row of a cell must be scored for it."""
        return cell.model in self.models and (cell.has_bound or not self.needs_bound)


@dataclass(frozen=True)
class EvaluationConfig:
    """The evaluation of a run.

    iwae: numbers of draws of the IWAE bounds
    iwae_on: image sets of the IWAE bounds, "test" and "subset"
    dataset: the data set that `subset` and `labelled` refer to
    subset: indices of test images
    labelled: indices of labelled training images
    subset_checksum: SHA-256 of the file of the lists
    samples: samples from the prior in which digits are counted
    metrics: those of plug-ins and those that the grid asks for by name
    """

    iwae: tuple[int, ...] = ()
    iwae_on: tuple[str, ...] = ("test",)
    dataset: str = ""
    subset: tuple[int, ...] = ()
    labelled: tuple[int, ...] = ()
    subset_checksum: str = ""
    samples: int = DEFAULT_SAMPLES
    metrics: tuple[MetricRequest, ...] = ()

    def required_columns(self, cell: Cell) -> frozenset[str]:
        """The columns that the row of this cell must be scored for; none of a search's trial."""
        if cell.stage == "search":
            return frozenset()
        further = {
            column for request in self.metrics if request.covers(cell) for column in request.columns
        }
        if not cell.has_bound:
            return frozenset({"accuracy"} | further)
        sets = {"test": "", "subset": "subset_"} if self.covers(cell) else {"test": ""}
        bounds = {
            f"{sets[name]}iwae_{k}" for name in self.iwae_on if name in sets for k in self.iwae
        }
        return frozenset({f"{prefix}nelbo" for prefix in sets.values()} | bounds | further)

    @property
    def of_search(self) -> "EvaluationConfig":
        """What the trials of a search know of it: nothing about test images."""
        return replace(self, iwae=(), subset=(), subset_checksum="", metrics=())

    @property
    def listed_draw(self) -> ListedDraw | None:
        """The labelled images of the file, None if it lists none."""
        if not self.labelled:
            return None
        content = ",".join(map(str, self.labelled)).encode()
        return ListedDraw(len(self.labelled), hashlib.sha256(content).hexdigest()[:12])

    def check_cells(self, cells: Sequence[Cell]) -> None:
        """Refuse a subset or listed labels of a data set that the cells do not use."""
        if self.subset and not any(self.covers(cell) for cell in cells):
            datasets = ", ".join(sorted({cell.dataset for cell in cells}))
            raise InputError(
                f"the subset lists images of '{self.dataset}', the grid has {datasets}; expected "
                f"the same data set"
            )
        for cell in cells:
            if cell.label_draw.startswith("file-") and cell.dataset != self.dataset:
                raise InputError(
                    f"the labels are listed for '{self.dataset}', and {cell} is of another data set"
                )

    def check_indices(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Refuse indices that are too large.

        sizes: the numbers of test and of training images, by data set
        """
        if self.dataset in sizes:
            for indices, size, split in zip(
                (self.subset, self.labelled), sizes[self.dataset], ("test", "training"), strict=True
            ):
                if max(indices, default=0) >= size:
                    raise InputError(
                        f"the subset file lists image {max(indices)} of {size} {split} images; "
                        f"expected 0 to {size - 1}"
                    )

    def covers(self, cell: Cell) -> bool:
        """Whether the subset lists images of the cell's data set."""
        return bool(self.subset) and cell.dataset == self.dataset


def make_evaluation_config(
    subset: str | None,
    iwae: Sequence[int],
    iwae_on: Sequence[str] | None,
    samples: int = DEFAULT_SAMPLES,
) -> EvaluationConfig:
    """The evaluation that a user asks for; InputError if it is not possible.

    subset: path of a `SubsetFile`
    iwae_on: by default the subset if there is one, else the test set
    """
    unsupported = sorted(k for k in iwae if describe_iwae(f"iwae_{k}") is None)
    if unsupported:
        raise InputError(f"IWAE bound of {unsupported[0]} draws: expected 1 to 999,999 draws")
    image_sets = tuple(iwae_on or (["subset"] if subset else ["test"]))
    if "subset" in image_sets and not subset:
        raise InputError(
            "IWAE bounds over the subset need the subset: give its file (--subset FILE)"
        )
    evaluation = EvaluationConfig(tuple(sorted(set(iwae))), image_sets, samples=samples)
    if subset is None:
        return evaluation
    content = _read_subset_file(subset)
    lists = _parse_subset_file(subset, content)
    return replace(
        evaluation,
        dataset=lists.dataset,
        subset=tuple(lists.evaluation_test_indices),
        labelled=tuple(lists.labelled_train_indices),
        subset_checksum=hashlib.sha256(content).hexdigest(),
    )


def _parse_subset_file(subset: str, content: bytes) -> SubsetFile:
    try:
        return SubsetFile.model_validate_json(content)
    except ValidationError as error:
        keys = ", ".join(SubsetFile.model_fields)
        raise InputError(
            f"subset file {subset!r}: {format_validation_error(error, top='the file')}; "
            f"expected JSON with the keys {keys}"
        ) from None


def _read_subset_file(subset: str) -> bytes:
    try:
        return Path(subset).expanduser().read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); expected a JSON file of image lists"
        raise InputError(f"subset file {subset!r} {reason}") from None
