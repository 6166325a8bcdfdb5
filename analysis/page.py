"""The page: one HTML file with its style and its pictures in it. It runs no script and asks nothing of any network."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.table import Table

FOLDER = Path(__file__).parent
_NUMBER = re.compile(r"(?P<figure>–|\[.+\]|-?[\d.,]+(?: ± [\d.,]+)?)(?: (?P<of>\(.+\)))?")


@dataclass(frozen=True)
class Picture:
    """A PNG on the page, what it shows, and its width in CSS pixels; 0 is that of its place."""

    png: bytes
    title: str
    caption: str
    width: int = 0

    @property
    def uri(self) -> str:
        """The picture itself as an address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class Page:
    """All that a page shows; what is empty is left out of it, or said in words."""

    title: str
    lede: str
    banner: str
    facts: Mapping[str, str]
    notes: Sequence[str]
    tables: Mapping[str, Sequence[Table]]
    pictures: Mapping[str, Sequence[Picture]]
    galleries: Sequence[Picture]
    unfinished: pd.DataFrame
    commands: Sequence[str]
    provenance: Sequence[Mapping[str, Any]]


def render(page: Page) -> str:
    """The page as HTML; every text in it is escaped."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader(FOLDER),
    )
    environment.filters |= {
        "laid_out": laid_out,
        "as_json": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    }
    style = Markup((FOLDER / "report.css").read_text(encoding="utf-8"))
    return environment.get_template("report.html").render(page=page, style=style)


def laid_out(table: Table) -> list[list[dict[str, Any]]]:
    """A table's cells: text, what a number is of, whether the column is one of numbers, whether the text repeats."""
    numeric = [all(_NUMBER.fullmatch(text) for text in table.text[column]) for column in table.text]
    above: list[str] = [""] * len(numeric)
    rows = []
    for texts in table.text.itertuples(index=False):
        rows.append([_cell(*parts) for parts in zip(texts, numeric, above, strict=True)])
        above = list(texts)
    return rows


def _cell(text: str, numeric: bool, above: str) -> dict[str, Any]:
    match = _NUMBER.fullmatch(text) if numeric else None
    figure, of = (match["figure"], match["of"]) if match else (text, None)
    return {"text": figure, "of": of, "numeric": numeric, "repeats": text == above}
