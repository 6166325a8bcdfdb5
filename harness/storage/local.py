"""A results folder in a file system, local or shared."""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from harness.errors import InputError, StorageError
from harness.storage.backend import FileVersion


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old content or the new one; folders are created.

    The content is on disk before the file gets its name. OSError if that fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class Folder:
    """A folder of files."""

    def __init__(self, root: str | Path):
        self.root = Path(root).expanduser().absolute()
        self.address = self.name = str(self.root)
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"results {str(root)!r} is a file; expected a folder")

    def check_reachable(self) -> None:
        """Nothing to check: a missing folder is created when something is written."""

    def read(self, key: str) -> bytes | None:
        """The content of `key`, None if there is none."""
        with self._convert_errors():
            try:
                return self.path(key).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def read_start(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes under `key`, fewer where it holds fewer, None where it holds
        nothing.
        """
        with self._convert_errors():
            try:
                with self.path(key).open("rb") as file:
                    return file.read(size)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The content of each key that exists."""
        return {key: content for key in keys if (content := self.read(key)) is not None}

    def write(self, key: str, content: bytes) -> None:
        """Write `content` under `key`; readers see the old file or the new one."""
        path = self.path(key)
        with self._convert_errors():
            write_atomically(path, content)

    def remove(self, key: str) -> None:
        """Remove `key`, if it exists."""
        with self._convert_errors():
            self.path(key).unlink(missing_ok=True)

    def versions(self, folder: str, suffix: str) -> dict[str, FileVersion]:
        """The version of each key `folder/*suffix`, sorted by key, without temporary files."""
        found = {}
        with (
            self._convert_errors(),
            suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self.path(folder)) as entries,
        ):
            for entry in entries:
                if entry.name.endswith(suffix) and not entry.name.startswith("."):
                    with suppress(FileNotFoundError):
                        found[f"{folder}/{entry.name}"] = _version_of(entry.stat())
        return dict(sorted(found.items()))

    def version(self, key: str) -> FileVersion | None:
        """The version of `key`, None if it does not exist."""
        with self._convert_errors():
            try:
                return _version_of(self.path(key).stat())
            except (FileNotFoundError, NotADirectoryError):
                return None

    def exists(self) -> bool:
        """Whether the folder exists."""
        with self._convert_errors():
            return self.root.exists()

    def path(self, key: str) -> Path:
        """The file of `key`, links followed; ValueError if it leaves the folder."""
        folder, name = os.path.split(key)
        path = _resolve_folder(self.root, folder) / name
        is_resolved = name not in ("", ".", "..") and not path.is_symlink()
        return path if is_resolved else _resolve(self.root, key)

    @contextmanager
    def _convert_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(self.name, error.strerror or str(error)) from error


def _resolve(root: Path, key: str) -> Path:
    """The path of `key` in a folder, links followed; ValueError if it leaves the folder."""
    path = (root / key).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"key {key!r} leaves the results folder")
    return path


# looking for links on the way takes longer than reading a small file
_resolve_folder = lru_cache(maxsize=256)(_resolve)


def _version_of(state: os.stat_result) -> FileVersion:
    return FileVersion(state.st_mtime_ns, state.st_size)
