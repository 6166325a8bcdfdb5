"""The page: one HTML file that contains its style, its script and its pictures.

Everything can be read without the script, which sorts, filters, and shows a seed whose point is
chosen. The policy in the head lets no other script run. Nothing is loaded but the samples of a
chosen seed, from the results folder that the page lies in.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.rendering.section import BASELINE_HINT, Content, Picture
from analysis.rendering.table import NUMBER_PATTERN, Table, is_numeric

TEMPLATE_FOLDER = Path(__file__).parent
SCRIPTS = ("sort.js", "filter.js", "seeds.js")
MAX_UNFOLDED_VERDICTS = 12  # verdicts of a family that are read without unfolding the rest
MAX_VERDICTS = 300  # verdicts of a family on the page, those to unfold included
_FIRST_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
_UNBREAKABLE = re.compile(r"(\[[^\[\]]{,24}\]|\b[np] [=<] [\w.-]{,12}\w)")


@dataclass(frozen=True)
class PageSection:
    """A section as the page shows it: its address, its heading, its content and its plots drawn.

    dense: whether its tables are set smaller.
    """

    name: str
    title: str
    content: Content
    plots: Sequence[Picture] = ()
    dense: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show below the heading."""
        shown = self.content
        return not (
            self.plots
            or shown.paragraphs
            or shown.sentences
            or shown.pictures
            or shown.tables
            or shown.values
        )


@dataclass(frozen=True)
class Page:
    """All that a page shows: its head, and its sections in their order.

    answer: the first verdict, for the head. banner: a warning about shortened runs. samples: the
    address of the pictures of samples beside the page. All three may be empty.
    """

    title: str
    answer: str
    subtitle: str
    banner: str
    sections: Sequence[PageSection]
    samples: str = ""


def render(page: Page) -> str:
    """The page as HTML; every text in it is escaped."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader(TEMPLATE_FOLDER),
    )
    environment.filters |= {
        "laid_out": make_cells,
        "kept": keep_together,
        "as_json": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    }
    style, *scripts = (
        (TEMPLATE_FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", *SCRIPTS)
    )
    script = "".join(scripts)
    own = {"style": Markup(style), "script": Markup(script), "digest": digest(script)}
    return environment.get_template("report.html").render(
        page=page, shown=MAX_UNFOLDED_VERDICTS, listed=MAX_VERDICTS, narrower=BASELINE_HINT, **own
    )


def digest(script: str) -> str:
    """The hash by which the page's policy knows its own script (W3C, Content Security Policy 3,
    section 2.3.1).
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def keep_together(text: str) -> Markup:
    """Text, escaped, in which no line breaks within n = 10, p = 1e-8 or an interval.

    >>> keep_together("[2.0, 2.6], p < .01 & more")
    Markup('<span class="kept">[2.0, 2.6]</span>, <span class="kept">p &lt; .01</span> &amp; more')
    """
    parts = _UNBREAKABLE.split(text)
    spans = [Markup('<span class="kept">{}</span>').format(part) for part in parts[1::2]]
    return Markup().join(
        each for pair in zip(map(escape, parts[::2]), [*spans, ""], strict=True) for each in pair
    )


def make_cells(table: Table) -> list[list[dict[str, Any]]]:
    """A table's cells: text, what a number is of, whether the column is one of numbers, its size,
    and repetition.
    """
    numeric = [is_numeric(table.text[column]) for column in table.text]
    above: list[str] = [""] * len(numeric)
    rows = []
    for texts in table.text.itertuples(index=False):
        rows.append([_make_cell(*parts) for parts in zip(texts, numeric, above, strict=True)])
        above = list(texts)
    return rows


def _make_cell(text: str, numeric: bool, above: str) -> dict[str, Any]:
    match = NUMBER_PATTERN.fullmatch(text) if numeric else None
    number, of = (match["figure"], match["of"]) if match else (text, None)
    return {
        "text": number,
        "of": of,
        "numeric": numeric,
        "size": sort_key(number),
        "repeats": text == above,
    }


def sort_key(text: str) -> float | None:
    """The number that a figure is sorted by: its first; None where it has none.

    >>> sort_key("−2.30 [−2.60, −2.00]"), sort_key("1,024"), sort_key("< 1e-8"), sort_key("–")
    (-2.3, 1024.0, 1e-08, None)
    """
    match = _FIRST_NUMBER.search(text)
    return float(match[0].replace(",", "").replace("−", "-")) if match else None
