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

from harness.errors import BadInput, StorageFailure
from harness.storage.backend import Stamp

PATIENCE = 120.0  # seconds for which a bucket is asked again
REACHED = 5.0  # seconds for which it is asked again at the start, where nobody answers
PAUSES = (0.5, 8.0)  # seconds: the first, doubled up to the last
THREADS = 32  # requests to a bucket side by side
OPTIONS = {
    "s3": ("endpoint_override", "scheme", "region"),
    "gs": ("endpoint_override", "scheme", "anonymous"),
}
LASTING = re.compile(  # what a bucket answers that no waiting mends
    r"NO_SUCH_BUCKET|INVALID_BUCKET|ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|PERMISSION_DENIED|"
    r"UNAUTHENTICATED|NOT_FOUND|Bucket .* not found|HTTP status (30\d|40[0-7]|41\d)|Unable to parse|Invalid"
)
SILENT = re.compile("NETWORK_CONNECTION|UNAVAILABLE")  # nobody answered
DOWN: dict[str, float] = {}  # the addresses that do not answer this process, and since when (s)
T = TypeVar("T")


class Bucket:
    """A folder of a bucket. An object gets its name when its last byte has come: a put is whole or
    nothing.
    """

    def __init__(self, parts: SplitResult):
        bucket, path = parts.netloc, parts.path.strip("/")
        if "@" in bucket:
            raise BadInput(
                f"results at {parts.scheme}://...: credentials in the address would be written "
                f"down; "
                "expected them in the environment, a profile or the machine's role"
            )
        self.name = f"{parts.scheme}://{bucket}/{path}".rstrip("/")
        if not bucket or parts.fragment or {".", "..", ""} & set((path or "-").split("/")):
            raise BadInput(f"results {self.name!r}; expected {parts.scheme}://BUCKET/PATH")
        self.options = _options(parts, self.name)
        self.address = parts.geturl()
        self.scheme, self.bucket, self.root = parts.scheme, bucket, f"{bucket}/{path}".rstrip("/")

    def reach(self) -> None:
        """Make sure, within seconds, that there is a bucket that may be read; one that only fails
        is asked as ever.
        """

        def look() -> None:
            from pyarrow import fs

            try:
                self.files.get_file_info(fs.FileSelector(self.root))
            except FileNotFoundError:  # the bucket is there, and nothing in it under the address
                return

        try:
            self._persist(look, first=True)
        except StorageFailure as failure:
            if LASTING.search(failure.reason) or SILENT.search(failure.reason):
                expected = "a bucket that is there and may be read"
                raise BadInput(
                    f"results {self.name!r} cannot be read: {failure.reason}; expected {expected}"
                ) from None
            raise

    def read(self, key: str) -> bytes | None:
        """The bytes under `key`, None where there are none."""

        def get() -> bytes | None:
            try:
                with self.files.open_input_stream(self.path(key)) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

        return self._persist(get)

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes under those of the keys that are there, many requests side by side."""
        asked = list(keys)
        found = zip(asked, self.pool.map(self.read, asked), strict=True)
        return {key: content for key, content in found if content is not None}

    def write(self, key: str, content: bytes) -> None:
        """Put `content` under `key`; readers see the old object or the new one."""
        path = self.path(key)

        def put() -> None:
            """Closing commits what was written, and so does dropping the stream: nothing may come
            between.
            """
            stream = self.files.open_output_stream(path)
            stream.write(content)
            stream.close()

        # not in the main thread, which Ctrl-C interrupts
        self._persist(lambda: self.pool.submit(put).result())

    def remove(self, key: str) -> None:
        """Forget `key`, if it is there."""

        def delete() -> None:
            try:
                self.files.delete_file(self.path(key))
            except FileNotFoundError:
                return

        self._persist(delete)

    def stamps(self, folder: str, suffix: str) -> dict[str, Stamp]:
        """The stamps of the keys `folder/*suffix`, sorted by key."""
        found = {f"{folder}/{info.base_name}": info for info in self._listed(self.path(folder))}
        return {
            key: Stamp(info.mtime_ns, info.size)
            for key, info in sorted(found.items())
            if info.is_file and key.endswith(suffix) and not info.base_name.startswith(".")
        }

    def stamp(self, key: str) -> Stamp | None:
        """The stamp of a key, None where it is not there."""
        info = self._persist(lambda: self.files.get_file_info(self.path(key)))
        return Stamp(info.mtime_ns, info.size) if info.is_file else None

    def exists(self) -> bool:
        """Whether anything lies under the address."""
        return bool(self._listed(self.root))

    def path(self, key: str) -> str:
        """Where `key` lies; a key that would leave the folder is refused."""
        if PurePosixPath(key).is_absolute() or {".", "..", ""} & set(key.split("/")):
            raise ValueError(f"key {key!r} leaves the results folder")
        return f"{self.root}/{key}"

    @cached_property
    def files(self) -> Any:
        """The file system of pyarrow: its own second tries are off, as ours are longer."""
        from datetime import timedelta

        from pyarrow import fs  # half a second to import, and only for buckets

        if self.scheme == "gs":
            return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=10), **self.options)
        once = fs.AwsStandardS3RetryStrategy(max_attempts=1)
        named = urlsplit(
            os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        )
        where = {"endpoint_override": named.netloc, "scheme": named.scheme} if named.netloc else {}
        if not where and "endpoint_override" not in self.options:
            where = {"region": fs.resolve_s3_region(self.bucket)}
        times = {"connect_timeout": 10, "request_timeout": 30}
        return fs.S3FileSystem(
            retry_strategy=once, allow_delayed_open=True, **times, **(where | self.options)
        )

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """What asks side by side."""
        return ThreadPoolExecutor(THREADS, thread_name_prefix="bucket")

    def _listed(self, path: str) -> list[Any]:
        from pyarrow import fs

        return self._persist(
            lambda: list(self.files.get_file_info(fs.FileSelector(path, allow_not_found=True)))
        )

    def _persist(self, work: Callable[[], T], first: bool = False) -> T:
        """Do it again, with growing pauses, while what stands in the way may pass."""
        (pause, longest), begun = PAUSES, time.monotonic()
        while True:
            try:
                done = work()
            except OSError as error:
                self._bear(" ".join(str(error).split()), begun, pause, first)
            else:
                DOWN.pop(self.address, None)
                return done
            time.sleep(pause)
            pause = min(longest, 2 * pause)

    def _bear(self, told: str, begun: float, pause: float, first: bool) -> None:
        """Raise where what was told will last, or has lasted too long since; else say when the
        bucket is asked again.

        The first request has little patience where nobody answers, and says nothing of it: the
        address may be wrong.
        """
        doubtful = first and SILENT.search(told)
        since = min(begun, DOWN.get(self.address, begun))
        if LASTING.search(told) or time.monotonic() > since + (REACHED if doubtful else PATIENCE):
            raise StorageFailure(self.name, told) from None
        DOWN.setdefault(self.address, begun)
        if not doubtful:
            print(f"results {self.name}: {told}; asked again in {pause:g} s", file=sys.stderr)


def _options(parts: SplitResult, name: str) -> dict[str, Any]:
    """What the query of an address says, and nothing that we do not know."""
    found = {
        key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()
    }
    stray = set(found) - set(OPTIONS[parts.scheme])
    if stray:
        known = ", ".join(OPTIONS[parts.scheme])
        raise BadInput(f"results {name!r}: no option {', '.join(sorted(stray))}; expected {known}")
    return {key: value == "true" if key == "anonymous" else value for key, value in found.items()}
