"""A new results folder, made beside its place and moved there when it is whole."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.folders.contents import LEFTOVER_SECONDS, is_temporary_name
from harness.errors import InputError, StorageError
from harness.storage.local import Folder
from harness.storage.store import Store


@contextmanager
def fill_folder(target: Store) -> Iterator[Store]:
    """The store to write the contents of `target` to.

    For a local folder that is missing or empty this is a temporary neighbour, which takes its
    place at the end, so that the folder is there whole or not at all. Other folders, and buckets,
    are filled in place. InputError where nothing can be written.
    """
    if not is_new(target):
        if not target.backend.exists():
            target.prepare()
        yield target
        return
    place = target.root
    neighbour = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        _make(neighbour, place)
        yield Store(neighbour)
        _move(neighbour, place)
    finally:
        shutil.rmtree(neighbour, ignore_errors=True)


def is_new(target: Store) -> bool:
    """Whether a store is a local folder that is missing or empty."""
    if not isinstance(target.backend, Folder):
        return False
    return not target.backend.exists() or not any(target.root.iterdir())


def list_unfinished(target: Store) -> list[Path]:
    """Temporary neighbours that killed commands left: none was written to for an hour."""
    if not isinstance(target.backend, Folder):
        return []
    oldest = time.time() - LEFTOVER_SECONDS
    place = target.root
    found = place.parent.glob(f".{place.name}.*") if place.parent.is_dir() else ()
    return sorted(
        path
        for path in found
        if path.is_dir() and is_temporary_name(path.name) and _last_change(path) < oldest
    )


def _last_change(folder: Path) -> float:
    return max(path.stat().st_mtime for path in [folder, *folder.iterdir()])


def _make(neighbour: Path, place: Path) -> None:
    try:
        neighbour.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"{str(place)!r} cannot be written: {error.strerror}; expected a writable folder"
        ) from None


def _move(neighbour: Path, place: Path) -> None:
    try:
        os.replace(neighbour, place)
    except OSError as error:
        if place.exists() and any(place.iterdir()):
            raise InputError(f"{place} was filled meanwhile; expected a new folder") from None
        raise StorageError(str(place), error.strerror or str(error)) from error
