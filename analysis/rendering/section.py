"""What a section of the report shows: sentences, verdicts, plots, pictures and tables."""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analysis.rendering.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DECIDED = ("better", "worse", "lower", "higher")
DESCRIBED = ("too few seeds", "too few studies", "single run", "cannot be compared")
BASELINE_HINT = (
    "a baseline in the grid, `compare: {baseline: {COLUMN: VALUE}}`, narrows the family "
    "to one pair an arm"
)
NOTEBOOK_DPI = 90


def metric_address(column: str) -> str:
    """The name of a metric in addresses and files: its column, with hyphens."""
    return column.replace("_", "-")


@dataclass(frozen=True)
class Verdict:
    """One comparison of arm `a` with arm `b`.

    word: the outcome, such as "better". reason: the outcome with its numbers. flags: reasons for
    caution.
    """

    a: str
    b: str
    word: str
    reason: str
    flags: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The verdict in one line: `gmvae against vae: better by 2.3 nats … – unequal seeds`."""
        beware = f" – {', '.join(self.flags)}" if self.flags else ""
        return f"{self.a} against {self.b}: {self.reason}{beware}"

    @property
    def kind(self) -> str:
        """How the page shows it: decided, described, equivalent or open."""
        if self.word in DECIDED:
            return "decided"
        if self.word in DESCRIBED:
            return "described"
        return "equivalent" if self.word == "equivalent" else "open"


@dataclass(frozen=True)
class Family:
    """All comparisons of one metric; their p-values are corrected together.

    tally: how many comparisons there are of each outcome. tables: the same comparisons in numbers.
    """

    name: str
    title: str
    tally: str
    verdicts: Sequence[Verdict]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Plot:
    """A matplotlib figure, the name of its files, its title and a caption.

    The caption names the kind of every interval and its n.
    """

    name: str
    title: str
    caption: str
    figure: "Figure" = field(repr=False)

    def _repr_png_(self) -> bytes:
        """The plot as notebooks show it."""
        with io.BytesIO() as png:
            self.figure.savefig(png, dpi=NOTEBOOK_DPI)
            return png.getvalue()


@dataclass(frozen=True)
class Picture:
    """A PNG on the page, its title, its caption and its width in CSS pixels.

    A width of 0 fills the place where the picture is.
    """

    png: bytes = field(repr=False)
    title: str
    caption: str
    width: int = 0

    @property
    def uri(self) -> str:
        """The picture as a `data:` address, in WebP without loss, which takes half of the bytes.

        What WebP cannot hold, or cannot be decoded, stays a PNG.
        """
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self.png)) as picture, io.BytesIO() as webp:
                picture.save(webp, "WEBP", lossless=True)
                kind, content = "webp", webp.getvalue()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            kind, content = "png", self.png
        return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

    def _repr_png_(self) -> bytes:
        """The picture as notebooks show it."""
        return self.png


@dataclass(frozen=True)
class Content:
    """What one section shows, in the order of the fields; a section without any of it is left out.

    draw_plots: draws the plots, which takes seconds, when it is called. pictures: those of a
    heading, by heading. tables_first: whether the tables come before the plots. files: tables that
    are written to files and not shown. template, values: a template of its own in this folder, and
    what it shows. heading: instead of the section's own, where it depends on the rows.
    """

    paragraphs: Sequence[str] = ()
    sentences: Sequence[str] = ()
    draw_plots: Callable[[], Iterable[Plot]] = tuple
    pictures: Mapping[str, Sequence[Picture]] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    tables_first: bool = False
    files: Sequence[Table] = ()
    template: str = "section.html"
    values: Mapping[str, Any] = field(default_factory=dict)
    heading: str = ""
