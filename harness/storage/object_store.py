"""A place that is a bucket of an object store, or a folder in one.

    s3://bucket/path                                           S3
    s3://bucket/path?endpoint_override=HOST:PORT&scheme=http   a compatible server; AWS_ENDPOINT_URL says it as well
    gs://bucket/path                                           Google Cloud Storage

Credentials come from the environment, a profile or the machine's role, never from an address. A
bucket that may only be down for a moment is asked again for two minutes; then every request fails
at its first try, until one is answered.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from harness.errors import InputError, StorageError
from harness.storage.backend import FileVersion

RETRY_SECONDS = 120.0  # seconds for which a bucket is asked again
FIRST_RETRY_SECONDS = 5.0  # seconds for which it is asked again at the start, where nobody answers
RETRY_PAUSES = (0.5, 8.0)  # seconds: the first, doubled up to the last
MAX_PARALLEL_REQUESTS = 32  # requests to a bucket side by side
ADDRESS_OPTIONS = {
    "s3": ("endpoint_override", "scheme", "region"),
    "gs": ("endpoint_override", "scheme", "anonymous"),
}
PERMANENT_ERRORS = re.compile(  # what a bucket answers that no waiting mends
    r"NO_SUCH_BUCKET|INVALID_BUCKET|ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|PERMISSION_DENIED|"
    r"UNAUTHENTICATED|NOT_FOUND|Bucket .* not found|HTTP status (30\d|40[0-7]|41\d)|Unable to parse|Invalid"
)
UNREACHABLE = re.compile("NETWORK_CONNECTION|UNAVAILABLE")  # nobody answered
_down_since: dict[
    str, float
] = {}  # the addresses that do not answer this process, and since when (s)
T = TypeVar("T")


class Bucket:
    """A folder of a bucket. An object gets its name when its last byte has come: a put is whole or
    nothing.
    """

    def __init__(self, parts: SplitResult):
        bucket, path = parts.netloc, parts.path.strip("/")
        if "@" in bucket:
            raise InputError(
                f"results at {parts.scheme}://...: credentials in the address would be written "
                f"down; "
                "expected them in the environment, a profile or the machine's role"
            )
        self.name = f"{parts.scheme}://{bucket}/{path}".rstrip("/")
        if not bucket or parts.fragment or {".", "..", ""} & set((path or "-").split("/")):
            raise InputError(f"results {self.name!r}; expected {parts.scheme}://BUCKET/PATH")
        self.options = _parse_options(parts, self.name)
        self.address = parts.geturl()
        self.scheme, self.bucket, self.root = parts.scheme, bucket, f"{bucket}/{path}".rstrip("/")

    def check_reachable(self) -> None:
        """Make sure, within seconds, that there is a bucket that may be read; one that only fails
        is asked as ever.
        """

        def list_root() -> None:
            from pyarrow import fs

            try:
                self.filesystem.get_file_info(fs.FileSelector(self.root))
            except FileNotFoundError:  # the bucket is there, and nothing in it under the address
                return

        try:
            self._retry(list_root, is_first=True)
        except StorageError as failure:
            if PERMANENT_ERRORS.search(failure.reason) or UNREACHABLE.search(failure.reason):
                expected = "a bucket that is there and may be read"
                raise InputError(
                    f"results {self.name!r} cannot be read: {failure.reason}; expected {expected}"
                ) from None
            raise

    def read(self, key: str) -> bytes | None:
        """The bytes under `key`, None where there are none."""

        def get() -> bytes | None:
            try:
                with self.filesystem.open_input_stream(self.path(key)) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

        return self._retry(get)

    def read_start(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes under `key`, fewer where it holds fewer, None where it holds
        nothing: a ranged request.
        """

        def get() -> bytes | None:
            try:
                with self.filesystem.open_input_file(self.path(key)) as file:
                    return bytes(file.read_at(size, 0))
            except FileNotFoundError:
                return None

        return self._retry(get)

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes under those of the keys that are there, many requests side by side."""
        key_list = list(keys)
        contents = zip(key_list, self.pool.map(self.read, key_list), strict=True)
        return {key: content for key, content in contents if content is not None}

    def write(self, key: str, content: bytes) -> None:
        """Put `content` under `key`; readers see the old object or the new one."""
        path = self.path(key)

        def put() -> None:
            """Closing commits what was written, and so does dropping the stream: nothing may come
            between.
            """
            stream = self.filesystem.open_output_stream(path)
            stream.write(content)
            stream.close()

        # not in the main thread, which Ctrl-C interrupts
        self._retry(lambda: self.pool.submit(put).result())

    def remove(self, key: str) -> None:
        """Forget `key`, if it is there."""

        def delete() -> None:
            try:
                self.filesystem.delete_file(self.path(key))
            except FileNotFoundError:
                return

        self._retry(delete)

    def versions(self, folder: str, suffix: str) -> dict[str, FileVersion]:
        """The stamps of the keys `folder/*suffix`, sorted by key."""
        infos = {f"{folder}/{info.base_name}": info for info in self._list_files(self.path(folder))}
        return {
            key: FileVersion(info.mtime_ns, info.size)
            for key, info in sorted(infos.items())
            if info.is_file and key.endswith(suffix) and not info.base_name.startswith(".")
        }

    def version(self, key: str) -> FileVersion | None:
        """The stamp of a key, None where it is not there."""
        info = self._retry(lambda: self.filesystem.get_file_info(self.path(key)))
        return FileVersion(info.mtime_ns, info.size) if info.is_file else None

    def exists(self) -> bool:
        """Whether anything lies under the address."""
        return bool(self._list_files(self.root))

    def path(self, key: str) -> str:
        """Where `key` lies; a key that would leave the folder is refused."""
        if PurePosixPath(key).is_absolute() or {".", "..", ""} & set(key.split("/")):
            raise ValueError(f"key {key!r} leaves the results folder")
        return f"{self.root}/{key}"

    @cached_property
    def filesystem(self) -> Any:
        """The file system of pyarrow: its own second tries are off, as ours are longer."""
        from datetime import timedelta

        from pyarrow import fs  # half a second to import, and only for buckets

        if self.scheme == "gs":
            return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=10), **self.options)
        no_retries = fs.AwsStandardS3RetryStrategy(max_attempts=1)
        endpoint = urlsplit(
            os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        )
        connection = (
            {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
            if endpoint.netloc
            else {}
        )
        if not connection and "endpoint_override" not in self.options:
            connection = {"region": fs.resolve_s3_region(self.bucket)}
        timeouts = {"connect_timeout": 10, "request_timeout": 30}
        return fs.S3FileSystem(
            retry_strategy=no_retries,
            allow_delayed_open=True,
            **timeouts,
            **(connection | self.options),
        )

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """What asks side by side."""
        return ThreadPoolExecutor(MAX_PARALLEL_REQUESTS, thread_name_prefix="bucket")

    def _list_files(self, path: str) -> list[Any]:
        from pyarrow import fs

        return self._retry(
            lambda: list(self.filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True)))
        )

    def _retry(self, work: Callable[[], T], is_first: bool = False) -> T:
        """Do it again, with growing pauses, while what stands in the way may pass."""
        (pause, longest), started = RETRY_PAUSES, time.monotonic()
        while True:
            try:
                result = work()
            except OSError as error:
                self._raise_or_wait(" ".join(str(error).split()), started, pause, is_first)
            else:
                _down_since.pop(self.address, None)
                return result
            time.sleep(pause)
            pause = min(longest, 2 * pause)

    def _raise_or_wait(self, message: str, started: float, pause: float, is_first: bool) -> None:
        """Raise where what was told will last, or has lasted too long since; else say when the
        bucket is asked again.

        The first request has little patience where nobody answers, and says nothing of it: the
        address may be wrong.
        """
        is_address_unproven = is_first and UNREACHABLE.search(message)
        since = min(started, _down_since.get(self.address, started))
        if PERMANENT_ERRORS.search(message) or time.monotonic() > since + (
            FIRST_RETRY_SECONDS if is_address_unproven else RETRY_SECONDS
        ):
            raise StorageError(self.name, message) from None
        _down_since.setdefault(self.address, started)
        if not is_address_unproven:
            print(f"results {self.name}: {message}; asked again in {pause:g} s", file=sys.stderr)


def _parse_options(parts: SplitResult, name: str) -> dict[str, Any]:
    """What the query of an address says, and nothing that we do not know."""
    options = {
        key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()
    }
    unknown_options = set(options) - set(ADDRESS_OPTIONS[parts.scheme])
    if unknown_options:
        known = ", ".join(ADDRESS_OPTIONS[parts.scheme])
        raise InputError(
            f"results {name!r}: no option {', '.join(sorted(unknown_options))}; expected {known}"
        )
    return {key: value == "true" if key == "anonymous" else value for key, value in options.items()}
