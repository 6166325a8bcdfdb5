"""What lies in a results folder: its rows, the files of each cell, and what cells share."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from analysis.frames.load import check_exists
from harness.errors import InputError
from harness.storage import layout
from harness.storage.local import Folder
from harness.storage.schema import Row
from harness.storage.store import Store

LEFTOVER_SECONDS = 3600.0  # a temporary file that is older belongs to no write
_FOLDERS = (layout.ROWS, *layout.CELL_FOLDERS, *layout.SHARED_FOLDERS)
KNOWN = {layout.TABLE, layout.ARM_NAMES, layout.TENSORBOARD, *(name for name, _ in _FOLDERS)}


@dataclass(frozen=True)
class FolderContents:
    """A results folder as a command found it.

    rows: by cell; corrupt: a sentence for each file of rows that cannot be read
    cell_files, shared_files: size in bytes by key
    stale: cells with a row file that no longer counts, as their change was interrupted
    """

    store: Store
    rows: Mapping[str, Row]
    corrupt: Mapping[str, str]
    cell_files: Mapping[str, int]
    shared_files: Mapping[str, int]
    stale: Sequence[str] = ()

    @property
    def dropped(self) -> list[str]:
        """Cells whose removal was interrupted; their files may still be there."""
        return [cell for cell in self.stale if cell not in self.rows]

    @cached_property
    def keys_by_cell(self) -> Mapping[str, list[str]]:
        """The keys of `cell_files` by the id that they are stored under."""
        found: dict[str, list[str]] = {}
        for key in self.cell_files:
            found.setdefault(layout.cell_of_key(key), []).append(key)
        return found

    def files_of(self, cells: Iterable[str]) -> dict[str, int]:
        """The files of cells (ids): size in bytes by key."""
        keys = [key for cell in cells for key in self.keys_by_cell.get(cell, ())]
        return {key: self.cell_files[key] for key in keys}


def open_store(address: str) -> Store:
    """The store at an address; InputError for an empty one, which would be the present folder."""
    if not address.strip():
        raise InputError("no results folder ''; expected a folder or a bucket")
    return Store(address)


def read_contents(store: Store) -> FolderContents:
    """Read the rows of a folder and list its files; InputError if it is missing or holds nothing.

    Nothing but the rows is opened.
    """
    check_exists(store)
    found = store.scan()
    cell_files = _list_sizes(store, layout.CELL_FOLDERS) | _list_tensorboard(store)
    shared_files = _list_sizes(store, layout.SHARED_FOLDERS) | _list_nested(store, found.rows)
    if not (found.rows or cell_files or found.corrupt):
        raise InputError(
            f"{store.name} holds no rows; expected {layout.TABLE} or rows/*.json, as "
            "harness/bench.py writes them"
        )
    stale = sorted(found.stale)
    return FolderContents(store, found.rows, found.corrupt, cell_files, shared_files, stale)


def check_no_run(store: Store) -> None:
    """Refuse a folder that a run writes to."""
    runs = store.active_runs()
    if runs:
        raise InputError(
            f"run {runs[0]} writes to {store.name}; expected a folder at rest: wait until it has "
            f"ended, or a minute after it was killed"
        )


def list_keys(store: Store) -> set[str]:
    """The keys of all that runs and commands wrote at an address."""
    single = {key for key in (layout.TABLE, layout.ARM_NAMES) if store.version(key) is not None}
    return single | {*_list_sizes(store, _FOLDERS), *_list_tensorboard(store)}


def list_others(store: Store) -> list[str]:
    """What people or the report put into a local folder: files and folders that no run writes."""
    if not isinstance(store.backend, Folder) or not store.backend.exists():
        return []
    names = [path.name for path in store.root.iterdir() if not path.name.startswith(".")]
    return sorted(set(names) - KNOWN)


def list_leftovers(store: Store) -> dict[str, int]:
    """Temporary files that killed processes left in a local folder: size in bytes by key."""
    if not isinstance(store.backend, Folder):
        return {}
    oldest = time.time() - LEFTOVER_SECONDS
    folders = [store.root, *(store.root / name for name, _ in _FOLDERS)]
    files = [path for folder in folders for path in folder.glob(".*.*") if path.is_file()]
    states = {path: path.stat() for path in files if is_temporary_name(path.name)}
    return {
        path.relative_to(store.root).as_posix(): state.st_size
        for path, state in sorted(states.items())
        if state.st_mtime < oldest
    }


def is_temporary_name(name: str) -> bool:
    """Whether a name is one of `write_atomically`: .NAME.HEX with 32 hex digits.

    >>> is_temporary_name(f".results.parquet.{'0' * 32}"), is_temporary_name(".mine.txt")
    (True, False)
    """
    end = name.rpartition(".")[2]
    return len(end) == 32 and set(end) <= set("0123456789abcdef")


def _list_sizes(store: Store, folders: Iterable[tuple[str, str]]) -> dict[str, int]:
    return {
        key: version.size
        for folder in folders
        for key, version in store.backend.versions(*folder).items()
    }


_DATASET_KEYS = (layout.targets_key, layout.digit_classifier_key)


def _list_nested(store: Store, rows: Mapping[str, Row]) -> dict[str, int]:
    """The files of data sets whose names have a /, which no listing shows."""
    names = {str(row["dataset"]) for row in rows.values() if "/" in str(row["dataset"])}
    keys = [make(name) for name in sorted(names) for make in _DATASET_KEYS]
    versions = {key: store.version(key) for key in keys}
    return {key: version.size for key, version in versions.items() if version is not None}


def _list_tensorboard(store: Store) -> dict[str, int]:
    """TensorBoard's files, which lie in folders only."""
    if not isinstance(store.backend, Folder) or not (store.root / layout.TENSORBOARD).is_dir():
        return {}
    cells = sorted(path.name for path in (store.root / layout.TENSORBOARD).iterdir())
    return _list_sizes(store, [(layout.tensorboard_key(cell), "") for cell in cells])
