"""The page of a run in the output of a notebook cell, replaced in place.

Rich's own live display needs ipywidgets there, and shows nothing without them.
"""

import io
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

WIDTH = 110  # columns
REFRESH_SECONDS = 1.0
HTML = '<pre style="line-height:normal;overflow-x:auto">{code}</pre>'


class NotebookPage:
    """Shows what `render` gives from `start` to `stop`, at most once a second."""

    def __init__(self, render: Callable[[], RenderableType]):
        self.render = render
        self.last_shown = 0.0
        self.handle: Any = None

    def start(self) -> None:
        """Show the page under the cell."""
        from IPython.display import DisplayHandle  # only a notebook has it for certain

        self.handle = DisplayHandle()  # type: ignore[no-untyped-call]
        self.handle.display(self._render_bundle(), raw=True)
        self.last_shown = time.monotonic()

    def refresh_if_due(self) -> None:
        """Replace the page, unless it was shown less than a second ago."""
        if time.monotonic() - self.last_shown >= REFRESH_SECONDS:
            self.stop()

    def stop(self) -> None:
        """Replace the page by the present one."""
        self.handle.update(self._render_bundle(), raw=True)
        self.last_shown = time.monotonic()

    def _render_bundle(self) -> dict[str, str]:
        """The page by MIME type."""
        console = Console(file=io.StringIO(), record=True, width=WIDTH, force_jupyter=False)
        console.print(self.render())
        html = console.export_html(code_format=HTML, inline_styles=True, clear=False)
        return {"text/plain": console.export_text(), "text/html": html}
