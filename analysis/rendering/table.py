"""A table of the report: as text for people, as numbers for machines, and both written to files."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from harness.errors import strip_control_chars

Mark = Literal["reference", "flagged", "ours", "aside"]
# Columns that wrap in LaTeX.
WRAPPED_COLUMNS = {
    "Remark": "p{4cm}",
    "Sum of the parts": "p{4cm}",
    "Cells": "p{3cm}",
    "Verdict": "p{3cm}",
}
MAX_ROWS = 300  # rows of a table that people read; all of them are in the CSV
FORMULA_PREFIXES = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
)  # by what a spreadsheet takes a text for a formula
MIN_COLUMNS_FOR_SMALL_TYPE = 7  # columns, from which a table is set smaller in LaTeX
# A figure: –, [1, 2], 0.5 ± 0.1, -2.3 [-2.6, -2.0], 1e-8, < 0.001, each with or without what it is
# of: (SE, n = 10).
NUMBER_PATTERN = re.compile(
    r"(?P<figure>–|\[.+\]|(?:[<>≥≤] ?)?[-−]?[\d.,]+(?:e-?\d+)?(?: ± [\d.,]+)?(?: \[.+\])?)"
    r"(?: (?P<of>\(.+\)))?"
)
_TEX_BACKSLASH_ESCAPES = {character: f"\\{character}" for character in "_%&#${}"}
_TEX_ESCAPES = str.maketrans(
    _TEX_BACKSLASH_ESCAPES
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "[": "{[}",
        "]": "{]}",
    }
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {
        "β": r"$\beta$",
        "ρ": r"$\rho$",
        "χ": r"$\chi$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "²": "$^2$",
        "−": "$-$",
    }
    | {"≥": r"$\geq$", "≤": r"$\leq$", "·": r"$\cdot$", "…": r"\ldots{}", "–": "--"}
)
_MARKDOWN_ESCAPES = str.maketrans(
    {"|": r"\|", "<": "&lt;", ">": "&gt;", "`": r"\`", "*": r"\*", "_": r"\_", "\\": "\\\\"}
)


@dataclass(frozen=True)
class Table:
    """`text` and `values` hold the same rows: strings as printed, and plain numbers.

    `marks`, if there are any, say what each row is: one that is "aside" is shown and not to be
    compared.
    """

    name: str
    title: str
    caption: str
    text: pd.DataFrame = field(repr=False)
    values: pd.DataFrame = field(repr=False)
    marks: tuple[Mark, ...] = field(default=(), repr=False)

    @property
    def excerpt(self) -> "Table":
        """Its first rows; the caption says how many more the CSV has."""
        rest = len(self.text) - MAX_ROWS
        if rest <= 0:
            return self
        caption = (
            f"{self.caption} The first {MAX_ROWS:,} rows; {rest:,} more are in {self.name}.csv."
        )
        return replace(
            self, caption=caption.strip(), text=self.text[:MAX_ROWS], marks=self.marks[:MAX_ROWS]
        )

    def _repr_markdown_(self) -> str:
        """The table as notebooks show it, its caption below."""
        return to_markdown(self.excerpt)


def is_numeric(column: "pd.Series[str]") -> bool:
    """Whether a column of text is one of figures, to be set to the right and sorted by size.

    >>> is_numeric(pd.Series(["0.012", "–"])), is_numeric(pd.Series(["1.5 ± 0.1 (SE, n = 3)"]))
    (True, True)
    >>> is_numeric(pd.Series(["3 ok"])), is_numeric(pd.Series([], dtype=str))
    (False, False)
    """
    return len(column) > 0 and all(NUMBER_PATTERN.fullmatch(text) for text in column)


def write(table: Table, folder: Path) -> list[Path]:
    """Write the table as CSV (numbers), Markdown and LaTeX (both as printed), each with its caption
    but the CSV.
    """
    contents = {
        "csv": to_csv(table.values),
        "md": to_markdown(table.excerpt),
        "tex": to_latex(table.excerpt),
    }
    paths = []
    for suffix, content in contents.items():
        path = folder / f"{table.name}.{suffix}"
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return paths


def to_csv(values: pd.DataFrame) -> str:
    """The values as CSV. Text that a spreadsheet would read as a formula gets an apostrophe in
    front.

    >>> print(to_csv(pd.DataFrame({"arm": ["=1+1", "vae"], "nelbo": [-1.5, 2.0]})).rstrip())
    arm,nelbo
    '=1+1,-1.5
    vae,2.0
    """
    texts = values.select_dtypes(exclude="number").columns
    return (
        values.assign(**{name: values[name].map(_neutralize_formula) for name in texts})
        .rename(columns=_neutralize_formula)
        .to_csv(index=False)
    )


def _neutralize_formula(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return (
        f"'{strip_control_chars(value)}"
        if value.startswith(FORMULA_PREFIXES)
        else strip_control_chars(value)
    )


def to_markdown(table: Table) -> str:
    """The table in Markdown, under its title and over its caption."""
    head = [_escape_markdown(str(column)) for column in table.text]
    rows = [
        [_escape_markdown(value) for value in row] for row in table.text.itertuples(index=False)
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for row in (head, *rows)
    ]
    lines.insert(1, ["-" * width for width in widths])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{_escape_markdown(table.title)}**\n\n{body}\n\n{_escape_markdown(table.caption)}\n"


def to_latex(table: Table) -> str:
    r"""The table as a LaTeX float; the document needs \usepackage{booktabs}."""
    escaped = table.text.map(_escape_tex).rename(columns=_escape_tex)
    floating = escaped.to_latex(
        index=False,
        escape=False,
        caption=_escape_tex(f"{table.title}. {table.caption}"),
        label=f"tab:{table.name}",
        position="htbp",
        column_format="".join(_format_alignment(table, str(column)) for column in table.text),
    )
    small = "\\small\\setlength{\\tabcolsep}{3pt}\n\\begin{tabular}"
    return (
        floating.replace("\\begin{tabular}", small, 1)
        if len(table.text.columns) >= MIN_COLUMNS_FOR_SMALL_TYPE
        else floating
    )


def _format_alignment(table: Table, column: str) -> str:
    return WRAPPED_COLUMNS.get(column) or ("r" if is_numeric(table.text[column]) else "l")


def _escape_tex(text: str) -> str:
    return " ".join(text.split()).translate(_TEX_ESCAPES)


def _escape_markdown(text: str) -> str:
    return " ".join(text.split()).translate(_MARKDOWN_ESCAPES)
