"""Contents by key, and what is stored beside the rows: curves, pictures, classes, provenance."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import InputError
from harness.storage import layout, parquet, schema
from harness.storage.backend import FileVersion, StorageBackend
from harness.storage.layout import PictureKind
from harness.storage.local import Folder

STALE_SECONDS = 60.0  # a driver writes its status every ten seconds


@dataclass(frozen=True)
class ArmName:
    """A name that a person gave an arm; `arm` holds the values of its `schema.ARM_COLUMNS`.

    A column that the file lacks has its default: the file is older than the column.
    """

    name: str
    arm: dict[str, Any]

    @property
    def is_valid(self) -> bool:
        """Whether the values have the types of a name and of the columns of an arm."""
        return (
            isinstance(self.name, str)
            and isinstance(self.arm, dict)
            and all(isinstance(value, str | int | float) for value in self.arm.values())
        )

    @property
    def key(self) -> tuple[Any, ...]:
        """The values of `schema.ARM_COLUMNS` in their order."""
        return tuple(self.arm.get(name, schema.DEFAULTS.get(name)) for name in schema.ARM_COLUMNS)


class Artifacts:
    """The files of a results folder by key, and the artifacts of its cells."""

    def __init__(self, backend: StorageBackend):
        self.backend = backend
        self.address, self.name = backend.address, backend.name

    # --- contents by key --------------------------------------------------------------------------

    def write(self, key: str, content: bytes) -> None:
        """Write `content` under `key`, atomically: readers see the old content or the new one."""
        self.backend.write(key, content)

    def read(self, key: str) -> bytes | None:
        """The content of `key`, None if there is none."""
        return self.backend.read(key)

    def read_start(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes under `key`, None if there are none; the rest is not read."""
        return self.backend.read_start(key, size)

    def version(self, key: str) -> FileVersion | None:
        """The version of the content of `key`, None if there is none."""
        return self.backend.version(key)

    def remove(self, key: str) -> None:
        """Remove `key`, if it exists."""
        self.backend.remove(key)

    def keys(self, folder: str, suffix: str) -> list[str]:
        """The keys `folder/*suffix`, sorted, without temporary files."""
        return list(self.backend.versions(folder, suffix))

    def display_path(self, key: str) -> str:
        """Where `key` lies, as it is shown to people."""
        return f"{self.name}/{key}"

    def path(self, key: str) -> Path:
        """The local file of `key`.

        InputError for a bucket, ValueError for a key that leaves the folder.
        """
        return self._local_folder().path(key)

    @property
    def root(self) -> Path:
        """The local folder; InputError for a bucket."""
        return self._local_folder().root

    @property
    def report_folder(self) -> Path:
        """Where reports are written: the folder itself, or for a bucket a local one of its name."""
        if isinstance(self.backend, Folder):
            return self.root
        return Path("results", *self.name.split("/")[2:])

    def _local_folder(self) -> Folder:
        if isinstance(self.backend, Folder):
            return self.backend
        raise InputError(f"results {self.name!r} lie in a bucket; expected a folder")

    # --- artifacts of cells -----------------------------------------------------------------------

    def write_curve(self, cell: str, points: list[dict[str, Any]]) -> None:
        """Write a learning curve: points with the columns of `schema.CURVE_SCHEMA`."""
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(points, schema=schema.CURVE_SCHEMA), sink)
        self.write(layout.curve_key(cell), sink.getvalue())

    def curve(self, cell: str) -> pd.DataFrame | None:
        """The learning curve of a cell, or None; ValueError if the file is not one."""
        content = self.read(layout.curve_key(cell))
        if content is None:
            return None
        curve: pd.DataFrame = schema.conform_to_schema(
            parquet.read(content), schema.CURVE_SCHEMA, schema.LATER_CURVE_COLUMNS
        ).to_pandas()
        return curve

    def write_classes(self, key: str, classes: np.ndarray) -> None:
        """Write classes (n,) as unsigned bytes under `key`, a .npy file."""
        sink = io.BytesIO()
        np.save(sink, classes.astype(np.uint8), allow_pickle=False)
        self.write(key, sink.getvalue())

    def predictions(self, cell: str) -> np.ndarray | None:
        """The class that a cell's classifier predicts for each test image, (n,) uint8, or None."""
        return self._read_classes(layout.predictions_key(cell))

    def targets(self, dataset: str) -> np.ndarray | None:
        """The true classes of a data set's test images, (n,) uint8, or None."""
        return self._read_classes(layout.targets_key(dataset))

    def _read_classes(self, key: str) -> np.ndarray | None:
        content = self.read(key)
        return None if content is None else np.load(io.BytesIO(content), allow_pickle=False)

    def pictures(self, kind: PictureKind, cell: str) -> bytes | None:
        """A PNG of 200 digits of a cell, or None."""
        return self.read(layout.picture_key(kind, cell))

    def provenance(self) -> list[dict[str, Any]]:
        """The provenance records of all runs, oldest first."""
        contents = self.backend.read_all(self.keys(*layout.PROVENANCE))
        records = [json.loads(content) for content in contents.values()]
        return sorted(records, key=lambda record: str(record.get("started", "")))

    def arm_names(self) -> list[ArmName]:
        """The names that people gave to arms; InputError if their file is damaged."""
        content = self.read(layout.ARM_NAMES)
        try:
            entries = json.loads(content or b"[]")
            names = [ArmName(**entry) for entry in entries]
            if isinstance(entries, list) and all(each.is_valid for each in names):
                return names
            reason = "a name or an arm is of another type"
        except (ValueError, TypeError, RecursionError) as error:
            reason = str(error).splitlines()[0]
        raise InputError(
            f"{self.display_path(layout.ARM_NAMES)} cannot be read: {reason}; expected a JSON list "
            'of {"name": NAME, "arm": {COLUMN: VALUE}}; delete it to go without names'
        )

    def write_arm_names(self, names: Sequence[ArmName]) -> None:
        """Write the names of arms in place of the former ones; no file where there are none."""
        if names:
            text = json.dumps([asdict(each) for each in names], indent=1, ensure_ascii=False)
            self.write(layout.ARM_NAMES, text.encode())
        else:
            self.remove(layout.ARM_NAMES)

    def active_runs(self) -> list[str]:
        """The ids of runs that have not ended and wrote their status within the last minute."""
        statuses = self.backend.read_all(self.keys(*layout.PROGRESS))
        return [layout.name_of(key) for key, content in statuses.items() if _is_active(content)]


def _is_active(status: bytes) -> bool:
    """Whether a stored status is that of a run that goes on; not if it cannot be read."""
    try:
        values = json.loads(status)
        age = datetime.now(UTC) - datetime.fromisoformat(values["written"])
        return not values["end"] and age.total_seconds() < STALE_SECONDS
    except (ValueError, TypeError, KeyError):
        return False
