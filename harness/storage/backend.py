"""Where bytes lie by key. Every write is whole or not there at all; what fails for good raises
`StorageFailure`.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class FileVersion(NamedTuple):
    """What tells one content of a key from the next: when it was written (ns, the place's clock)
    and its bytes.
    """

    mtime_ns: int
    size: int


class StorageBackend(Protocol):
    """Contents by key.

    `address` opens it again, in any process; `name` is what people are shown, and no query or
    credentials are in it.
    """

    address: str
    name: str

    def check_reachable(self) -> None:
        """Refuse, within seconds, a place where nobody answers or nothing may be read."""

    def read(self, key: str) -> bytes | None:
        """The bytes under `key`, None where there are none."""

    def read_start(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes under `key`, fewer where it holds fewer, None where it holds
        nothing. The other bytes are not fetched.
        """

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes under those of the keys that are there."""

    def write(self, key: str, content: bytes) -> None:
        """Put `content` under `key`; readers see the old content or the new one."""

    def remove(self, key: str) -> None:
        """Forget `key`, if it is there."""

    def versions(self, folder: str, suffix: str) -> dict[str, FileVersion]:
        """The stamps of the keys `folder/*suffix`, sorted by key; what a killed writer left is no
        key.
        """

    def version(self, key: str) -> FileVersion | None:
        """The stamp of a key, None where it is not there."""

    def exists(self) -> bool:
        """Whether anything was ever written here."""
