"""The interface of storage: contents by key.

Every write is atomic. An operation that fails raises `StorageError`.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class FileVersion(NamedTuple):
    """Distinguishes one content of a key from the next: time of writing (ns) and size (bytes)."""

    mtime_ns: int
    size: int


class StorageBackend(Protocol):
    """Contents by key.

    address: opens the same storage in any process
    name: the address as it is shown to people, without query and credentials
    """

    address: str
    name: str

    def check_reachable(self) -> None:
        """Check within seconds that the storage can be read; InputError if not."""

    def read(self, key: str) -> bytes | None:
        """The content of `key`, None if there is none."""

    def read_start(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes under `key`, fewer where it holds fewer, None where it holds
        nothing. The other bytes are not fetched.
        """

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The content of each key that exists."""

    def write(self, key: str, content: bytes) -> None:
        """Write `content` under `key`; readers see the old content or the new one."""

    def remove(self, key: str) -> None:
        """Remove `key`, if it exists."""

    def versions(self, folder: str, suffix: str) -> dict[str, FileVersion]:
        """The version of each key `folder/*suffix`, sorted by key, without temporary files."""

    def version(self, key: str) -> FileVersion | None:
        """The version of `key`, None if it does not exist."""

    def exists(self) -> bool:
        """Whether anything was ever written here."""
