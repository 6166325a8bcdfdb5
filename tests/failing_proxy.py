"""A proxy for an S3 server that can answer with errors.

python -m tests.failing_proxy SERVER ADDRESS PORT FILE      fails while FILE exists
"""

import http.client
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class FailingProxy(ThreadingHTTPServer):
    """A proxy for the server `behind` that answers the next `refusals` requests with `status`."""

    daemon_threads = True

    def __init__(self, behind: str, address: str = "127.0.0.1", port: int = 0):
        super().__init__((address, port), Visit)
        self.behind, self.refusals, self.status, self.seen = behind, 0, 500, list[str]()

    def refuses(self) -> bool:
        """Whether the present request is refused."""
        refused = self.refusals > 0
        self.refusals -= refused
        return refused


class FileProxy(FailingProxy):
    """A proxy that fails while a file exists, which other hosts can create."""

    def __init__(self, behind: str, address: str, port: int, file: Path):
        super().__init__(behind, address, port)
        self.file = file

    def refuses(self) -> bool:
        """Whether the file exists."""
        return self.file.exists()


class Visit(BaseHTTPRequestHandler):
    server: FailingProxy
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        body = self.body()
        self.server.seen.append(f"{self.command} {self.path}")
        if self.server.refuses():
            return self.answer(self.server.status, [("Content-Length", "0")], b"")
        inner = http.client.HTTPConnection(self.server.behind, timeout=60)
        hop = ("transfer-encoding", "content-length", "expect", "connection")
        inner.request(
            self.command,
            self.path,
            body,
            {k: v for k, v in self.headers.items() if k.lower() not in hop},
        )
        found = inner.getresponse()
        return self.answer(found.status, found.getheaders(), found.read())

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one  # noqa: N815

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    FileProxy(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])).serve_forever()
