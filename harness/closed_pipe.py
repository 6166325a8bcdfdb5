"""Output to a closed pipe, as in `... | head -1`: it is dropped, and the command goes on."""

import io
import sys
from typing import Any, TextIO


class _Pipe(io.FileIO):
    """An open descriptor that drops what is written after its reader has closed it."""

    unread = False

    def write(self, content: Any, /) -> int:
        """Write or drop the content; the number of bytes written or dropped."""
        try:
            return super().write(content)
        except BrokenPipeError:
            self.unread = True
            return memoryview(content).nbytes


def guard() -> None:
    """Make standard output and standard error ignore a closed pipe."""
    sys.stdout, sys.stderr = _guard_stream(sys.stdout), _guard_stream(sys.stderr)


def is_reader_gone() -> bool:
    """Whether a write has found the pipe behind standard output closed."""
    return bool(getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "unread", False))


def _guard_stream(stream: TextIO) -> TextIO:
    stream.flush()
    buffer: Any = io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False))
    line_buffered = stream.isatty() or stream is sys.stderr
    return io.TextIOWrapper(
        buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=line_buffered
    )
