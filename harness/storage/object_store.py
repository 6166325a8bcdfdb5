"""A results folder in a bucket of an object store.

    s3://bucket/path                                           S3
    s3://bucket/path?endpoint_override=HOST:PORT&scheme=http   a compatible server
    gs://bucket/path                                           Google Cloud Storage

AWS_ENDPOINT_URL names a compatible server as well. Credentials come from the environment, a
profile or the machine's role, never from an address. Requests that fail are repeated as
`harness.storage.retry` says.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from harness.errors import InputError, StorageError
from harness.storage.backend import FileVersion
from harness.storage.retry import PERMANENT_ERRORS, UNREACHABLE, retry

MAX_PARALLEL_REQUESTS = 32
ADDRESS_OPTIONS = {
    "s3": ("endpoint_override", "scheme", "region"),
    "gs": ("endpoint_override", "scheme", "anonymous"),
}
T = TypeVar("T")


class Bucket:
    """A folder of a bucket. A write is atomic: an object exists once all its bytes have arrived."""

    def __init__(self, parts: SplitResult):
        bucket, path = parts.netloc, parts.path.strip("/")
        if "@" in bucket:
            raise InputError(
                f"results at {parts.scheme}://...: credentials in the address would be written "
                "down; expected them in the environment, a profile or the machine's role"
            )
        self.name = f"{parts.scheme}://{bucket}/{path}".rstrip("/")
        if not bucket or parts.fragment or {".", "..", ""} & set((path or "-").split("/")):
            raise InputError(f"results {self.name!r}; expected {parts.scheme}://BUCKET/PATH")
        self.options = _parse_options(parts, self.name)
        self.address = parts.geturl()
        self.scheme, self.bucket, self.root = parts.scheme, bucket, f"{bucket}/{path}".rstrip("/")

    def check_reachable(self) -> None:
        """Check within seconds that the bucket exists and can be read; InputError if not.

        A server that answers with a transient error is retried like in every other request.
        """

        def list_root() -> None:
            from pyarrow import fs

            try:
                self.filesystem.get_file_info(fs.FileSelector(self.root))
            except FileNotFoundError:  # the bucket exists and has nothing under the address
                return

        try:
            retry(list_root, self.address, self.name, is_first=True)
        except StorageError as failure:
            if not PERMANENT_ERRORS.search(failure.reason) and not UNREACHABLE.search(
                failure.reason
            ):
                raise
            raise InputError(
                f"results {self.name!r} cannot be read: {failure.reason}; "
                "expected a bucket that is there and may be read"
            ) from None

    def read(self, key: str) -> bytes | None:
        """The content of `key`, None if there is none."""

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
        """The content of each key that exists; the requests run in parallel."""
        key_list = list(keys)
        contents = zip(key_list, self.pool.map(self.read, key_list), strict=True)
        return {key: content for key, content in contents if content is not None}

    def write(self, key: str, content: bytes) -> None:
        """Write `content` under `key`; readers see the old object or the new one."""
        path = self.path(key)

        def put() -> None:
            # closing commits the object, and so does dropping the stream after an interrupt
            stream = self.filesystem.open_output_stream(path)
            stream.write(content)
            stream.close()

        # in another thread than the main one, which Ctrl-C interrupts
        self._retry(lambda: self.pool.submit(put).result())

    def remove(self, key: str) -> None:
        """Remove `key`, if it exists."""

        def delete() -> None:
            try:
                self.filesystem.delete_file(self.path(key))
            except FileNotFoundError:
                return

        self._retry(delete)

    def versions(self, folder: str, suffix: str) -> dict[str, FileVersion]:
        """The version of each key `folder/*suffix`, sorted by key."""
        infos = {f"{folder}/{info.base_name}": info for info in self._list_files(self.path(folder))}
        return {
            key: FileVersion(info.mtime_ns, info.size)
            for key, info in sorted(infos.items())
            if info.is_file and key.endswith(suffix) and not info.base_name.startswith(".")
        }

    def version(self, key: str) -> FileVersion | None:
        """The version of `key`, None if it does not exist."""
        info = self._retry(lambda: self.filesystem.get_file_info(self.path(key)))
        return FileVersion(info.mtime_ns, info.size) if info.is_file else None

    def exists(self) -> bool:
        """Whether there is anything under the address."""
        return bool(self._list_files(self.root))

    def path(self, key: str) -> str:
        """The path of `key` in the bucket; ValueError if it leaves the folder."""
        if PurePosixPath(key).is_absolute() or {".", "..", ""} & set(key.split("/")):
            raise ValueError(f"key {key!r} leaves the results folder")
        return f"{self.root}/{key}"

    @cached_property
    def filesystem(self) -> Any:
        """PyArrow's file system, opened at the first request."""
        return _open_filesystem(self.scheme, self.bucket, self.options)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """The threads of parallel requests."""
        return ThreadPoolExecutor(MAX_PARALLEL_REQUESTS, thread_name_prefix="bucket")

    def _list_files(self, path: str) -> list[Any]:
        from pyarrow import fs

        return self._retry(
            lambda: list(self.filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True)))
        )

    def _retry(self, work: Callable[[], T]) -> T:
        return retry(work, self.address, self.name)


def _open_filesystem(scheme: str, bucket: str, options: dict[str, Any]) -> Any:
    """A file system of PyArrow without retries of its own."""
    from datetime import timedelta

    from pyarrow import fs  # imported here: it takes half a second and only buckets need it

    if scheme == "gs":
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=10), **options)
    # PyArrow does not read AWS_ENDPOINT_URL (apache/arrow#49643)
    variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    endpoint = urlsplit(next(filter(None, map(os.environ.get, variables)), ""))
    if endpoint.netloc:
        connection = {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    elif "endpoint_override" not in options:
        connection = {"region": fs.resolve_s3_region(bucket)}
    else:
        connection = {}
    return fs.S3FileSystem(
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
        allow_delayed_open=True,
        connect_timeout=10,
        request_timeout=30,
        **(connection | options),
    )


def _parse_options(parts: SplitResult, name: str) -> dict[str, Any]:
    """The options in the query of an address; InputError for an unknown one."""
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
