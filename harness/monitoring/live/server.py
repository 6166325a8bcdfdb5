"""Serve the live page on this machine: `python harness/bench.py --serve RESULTS`.

Whoever has the address can read the results and nothing else: the server listens on loopback, its
addresses contain a token that is new each time, and it answers to GET alone.
"""

import base64
import hashlib
import hmac
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import InputError
from harness.monitoring.live.report_writer import ReportWriter
from harness.monitoring.live.state import CURVE_SIZE, LiveState
from harness.storage.store import Store

HOST = "127.0.0.1"
REFRESH_SECONDS = 2.0
TEMPLATES = Path(__file__).parent
HTML = "text/html; charset=utf-8"


class LivePage:
    """The page of a store and its parts, by the last part of their address."""

    def __init__(self, store: Store, address: str, folder: Path):
        self.name = store.name
        self.state, self.report = LiveState(store), ReportWriter(store, address, folder)
        self.templates = Environment(
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            loader=FileSystemLoader(TEMPLATES),
        )
        self.script = (TEMPLATES / "live.js").read_text(encoding="utf-8")

    def refresh(self) -> None:
        """Read the store again."""
        self.state.refresh()
        self.report.poll()

    def render(self, part: str) -> bytes | None:
        """A part as HTML: "" is the page, "state" what changes, "report" the newest report.

        None where there is no such part, or no report yet.
        """
        if part == "report":
            return self.report.html or None
        if part not in ("", "state"):
            return None
        values = {
            "name": self.name,
            "runs": self.state.describe(),
            "messages": [each for each in (self.state.message, self.report.message) if each],
            "version": self.report.version,
            "size": CURVE_SIZE,
            "script": Markup(self.script),
        }
        template = "live.html" if part == "" else "state.html"
        return self.templates.get_template(template).render(values).encode()

    @property
    def policy(self) -> str:
        """The content security policy of the page: its own script, its own parts, nothing else."""
        digest = base64.b64encode(hashlib.sha256(self.script.encode()).digest()).decode()
        return (
            "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; frame-src 'self'; "
            f"script-src 'sha256-{digest}'; frame-ancestors 'none'"
        )

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        """Read the store every few seconds, in a thread."""
        ended = threading.Event()

        def keep_refreshing() -> None:
            while not ended.is_set():
                try:
                    self.refresh()
                except Exception as error:  # the page says so, and tries again
                    self.state.message = f"{type(error).__name__}: {error}"
                ended.wait(REFRESH_SECONDS)

        thread = threading.Thread(target=keep_refreshing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.report.close()


class LiveServer(ThreadingHTTPServer):
    """Answers GET /TOKEN/PART on loopback."""

    daemon_threads = True

    def __init__(self, page: LivePage, port: int = 0):
        self.page, self.token = page, secrets.token_urlsafe(24)
        super().__init__((HOST, port), Handler)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: LiveServer

    def do_GET(self) -> None:
        """Answer with a part of the page; 404 without the token."""
        token, slash, part = urlsplit(self.path).path[1:].partition("/")
        known = hmac.compare_digest(f"{token}{slash}".encode(), f"{self.server.token}/".encode())
        content = self.server.page.render(part) if known else None
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", HTML)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        if part != "report":  # a report has a policy of its own
            self.send_header("Content-Security-Policy", self.server.page.policy)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing: a request every two seconds is no news, and its address has the token."""


def serve(address: str, port: int = 0) -> int:
    """Serve the page of a store until the process is interrupted; the exit code.

    InputError: the store cannot be reached, or the port is in use.
    """
    store = Store(address)
    store.check_reachable()
    with tempfile.TemporaryDirectory() as folder:
        page = LivePage(store, address, Path(folder))
        try:
            server = LiveServer(page, port)
        except OSError as error:
            raise InputError(
                f"port {port} of {HOST}: {error.strerror}; expected a free one"
            ) from None
        with server, page.refreshing():
            print(f"{store.name}: {server.url}\nCtrl-C ends the page; runs go on", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
    return 0
