"""From a results folder to a report: `python analysis/report.py RESULTS`.

It writes one page (report.html), the figures (PNG and PDF) and the tables (CSV, Markdown, LaTeX), and prints the
summary. It never changes the results.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis import beside, notes, overview, references, results, summary, table
from analysis.estimate import counts
from analysis.galleries import galleries
from analysis.lengths import banner
from analysis.page import Page, Picture, render
from analysis.results import Results
from analysis.table import Table
from harness.errors import BadInput
from harness.store import TABLE, Store

PIXELS = 118  # of the page, an inch of a figure
WIDE = 200  # columns of a pipe or a file: nothing wraps
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
Tables = Mapping[str, Sequence[Table]]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python analysis/report.py", description="Write a report of a results folder.")
    p.add_argument("results", metavar="RESULTS", help="a folder that harness/bench.py wrote, or a copy of one")
    p.add_argument("--out", metavar="DIR", type=Path, help="where the report goes (default: RESULTS/report)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 for bad input, which is said in one line."""
    args = parser().parse_args(argv)
    try:
        store = Store(args.results)
        found = results.read(store)
        tables = tabulated(found.rows)
        page = write(found, tables, args.out or store.root / "report")
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(found.rows, tables)
    lies = store.path(TABLE) if store.path(TABLE).exists() else store.path("rows")
    print(f"results: {lies}\nreport: {page}")
    return 0


def tabulated(rows: pd.DataFrame) -> Tables:
    """The tables of each section of the page."""
    return {
        "results": summary.glances(rows),
        "beside": beside.tables(rows, references.load()),
        "estimates": [summary.every_estimate(rows)],
    }


def write(found: Results, tables: Tables, out: Path) -> Path:
    """Write page, figures and tables under `out`; where the page lies."""
    try:
        for folder in ("figures", "tables"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for each in (each for section in tables.values() for each in section):
            table.write(each, out / "tables")
        page = composed(found, tables, drawn(found, out / "figures"))
        (out / "report.html").write_text(render(page), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"report {str(out)!r} cannot be written: {error.strerror}; expected a writable folder") from None
    return out / "report.html"


def drawn(found: Results, folder: Path) -> Mapping[str, Sequence[Picture]]:
    """Draw the figures and write them to `folder`; the pictures of each section of the page."""
    from analysis import figures, plots  # they take seconds to import: bad input is told before

    pictures: dict[str, list[Picture]] = {}
    for item in figures.draw(found.rows, found.points):
        png = plots.save(item.figure, folder, item.name)[0].read_bytes()
        picture = Picture(png, item.title, item.caption, round(PIXELS * item.figure.get_figwidth()))
        pictures.setdefault(item.section, []).append(picture)
    return pictures


def composed(found: Results, tables: Tables, pictures: Mapping[str, Sequence[Picture]]) -> Page:
    """All that the page shows."""
    return Page(
        title=overview.title(found.rows),
        lede=overview.lede(found.rows),
        banner=banner(counts(found.rows)),
        facts=overview.facts(found.rows),
        notes=notes.notes(found.rows),
        tables=tables,
        pictures=pictures,
        galleries=list(galleries(found)),
        unfinished=notes.unfinished(found.rows),
        commands=overview.commands(found.provenance),
        provenance=found.provenance,
    )


def show(rows: pd.DataFrame, tables: Tables) -> None:
    """Print the summary: a table, and what a reader must know."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    printed = summary.every_estimate(rows, summary.main(rows))
    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in printed.text:
        grid.add_column(Text(str(column)), overflow="fold")
    for line in printed.text.to_numpy():
        grid.add_row(*map(_plain, line))
    console.print(_plain(f"{overview.title(rows)}: {overview.lede(rows)}"), style="bold", soft_wrap=True)
    console.print(grid)
    for text in (printed.caption, *notes.notes(rows), *beside.flagged(tables["beside"])):
        console.print(_plain(text), soft_wrap=True)


def _plain(text: str) -> Text:
    """Text that neither Rich nor the terminal takes for a command."""
    return Text(CONTROL.sub(" ", text))


if __name__ == "__main__":
    sys.exit(main())
