"""A table of the report: as text for people, as numbers for machines, and both written to files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

Mark = Literal["reference", "flagged", "ours", "aside"]
PROSE = {"Remark": "p{4cm}", "Sum of the parts": "p{4cm}", "Cells": "p{3cm}"}  # columns that wrap in LaTeX
_ESCAPED = {character: f"\\{character}" for character in "_%&#${}"}
_TEX = str.maketrans(
    _ESCAPED
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {"β": r"$\beta$", "±": r"$\pm$", "×": r"$\times$", "–": "--"}
)
_MARKDOWN = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "`": r"\`", "*": r"\*", "_": r"\_", "\\": "\\\\"})


@dataclass(frozen=True)
class Table:
    """`text` and `values` hold the same rows: strings as printed, and plain numbers.

    `marks`, if there are any, say what each row is: one that is "aside" is shown and not to be compared.
    """

    name: str
    title: str
    caption: str
    text: pd.DataFrame
    values: pd.DataFrame
    marks: tuple[Mark, ...] = ()


def write(table: Table, folder: Path) -> list[Path]:
    """Write the table as CSV (numbers), Markdown and LaTeX (both as printed), each with its caption but the CSV."""
    contents = {"csv": table.values.to_csv(index=False), "md": markdown(table), "tex": latex(table)}
    paths = []
    for suffix, content in contents.items():
        path = folder / f"{table.name}.{suffix}"
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return paths


def markdown(table: Table) -> str:
    """The table in Markdown, under its title and over its caption."""
    head = [_md(str(column)) for column in table.text]
    rows = [[_md(value) for value in row] for row in table.text.itertuples(index=False)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{_md(table.title)}**\n\n{body}\n\n{_md(table.caption)}\n"


def latex(table: Table) -> str:
    r"""The table as a LaTeX float with booktabs' rules; the document needs \usepackage{booktabs}."""
    escaped = table.text.map(_tex).rename(columns=_tex)
    return escaped.to_latex(
        index=False,
        escape=False,
        caption=_tex(f"{table.title}. {table.caption}"),
        label=f"tab:{table.name}",
        position="htbp",
        column_format="".join(PROSE.get(str(column), "l") for column in table.text),
    )


def _tex(text: str) -> str:
    return " ".join(text.split()).translate(_TEX)


def _md(text: str) -> str:
    return " ".join(text.split()).translate(_MARKDOWN)
