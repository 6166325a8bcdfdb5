"""Output that nobody reads any more, as in `... | head -1`: the work goes on and ends as if it had
been read.
"""

import io
import sys
from typing import Any, TextIO


class _Pipe(io.FileIO):
    """An open descriptor whose reader may go away: what comes later is dropped."""

    unread = False

    def write(self, content: Any, /) -> int:
        """Write, or drop what nobody reads: the number of bytes that are done with."""
        try:
            return super().write(content)
        except BrokenPipeError:
            self.unread = True
            return memoryview(content).nbytes


def guard() -> None:
    """From now on a closed pipe behind standard output or standard error is no error."""
    sys.stdout, sys.stderr = _guard_stream(sys.stdout), _guard_stream(sys.stderr)


def is_reader_gone() -> bool:
    """Whether the reader of standard output has gone away, as far as writing has shown."""
    return bool(getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "unread", False))


def _guard_stream(stream: TextIO) -> TextIO:
    stream.flush()
    buffer: Any = io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False))
    line_buffered = stream.isatty() or stream is sys.stderr
    return io.TextIOWrapper(
        buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=line_buffered
    )
