"""From a results folder to a report: `python analysis/report.py RESULTS`.

It writes one page (report.html), the figures (PNG and PDF) and the tables (CSV, Markdown, LaTeX), and prints the
summary. It never changes the results.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis import beside, curves, notes, overview, references, summary, table
from analysis.estimate import counts
from analysis.lengths import banner
from analysis.naming import labels, named
from analysis.page import Page, Picture, render
from analysis.table import Table
from harness.errors import BadInput
from harness.store import TABLE, Store

PIXELS = 118  # of the page, an inch of a figure
WIDE = 200  # columns of a pipe or a file: nothing wraps
PNG = b"\x89PNG\r\n\x1a\n"


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
        store, rows = opened(args.results)
        tables = [*summary.glances(rows), summary.every_estimate(rows), *beside.tables(rows, references.load())]
        page = write(store, rows, tables, args.out or store.root / "report")
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(rows, tables, store, page)
    return 0


def opened(results: str) -> tuple[Store, pd.DataFrame]:
    """A results folder and its table; refuses one that is missing, a file, of another schema, or without a row."""
    store = Store(results)
    if not store.root.exists():
        raise BadInput(f"no results folder {results!r}; expected one that harness/bench.py wrote")
    try:
        rows = store.frame()
    except OSError as error:
        raise BadInput(f"results {results!r} cannot be read: {error.strerror}") from None
    if rows.empty:
        raise BadInput(
            f"results {results!r} hold no rows; expected {TABLE} or rows/*.json, as harness/bench.py writes them"
        )
    return store, rows


def write(store: Store, rows: pd.DataFrame, tables: Sequence[Table], out: Path) -> Path:
    """Write page, figures and tables under `out`; where the page lies."""
    points, provenance = curves.read(store, rows), recorded(store)
    try:
        for folder in ("figures", "tables"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for each in tables:
            table.write(each, out / "tables")
        pictures = drawn(rows, points, out / "figures")
        page = composed(rows, tables, pictures, list(galleries(store, rows)), provenance)
        (out / "report.html").write_text(render(page), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"report {str(out)!r} cannot be written: {error.strerror}; expected a writable folder") from None
    return out / "report.html"


def drawn(rows: pd.DataFrame, points: pd.DataFrame, folder: Path) -> dict[str, list[Picture]]:
    """Draw the figures and write them to `folder`; the pictures of each section of the page."""
    from analysis import figures, plots  # they take seconds to import: bad input is told before

    pictures: dict[str, list[Picture]] = {}
    for item in figures.draw(rows, points):
        png = plots.save(item.figure, folder, item.name)[0].read_bytes()
        picture = Picture(png, item.title, item.caption, round(PIXELS * item.figure.get_figwidth()))
        pictures.setdefault(item.section, []).append(picture)
    return pictures


def composed(
    rows: pd.DataFrame,
    tables: Sequence[Table],
    pictures: Mapping[str, Sequence[Picture]],
    samples: Sequence[Picture],
    provenance: Sequence[Mapping[str, Any]],
) -> Page:
    """All that the page shows."""
    return Page(
        title=overview.title(rows),
        lede=overview.lede(rows),
        banner=banner(counts(rows)),
        facts=overview.facts(rows),
        notes=notes.notes(rows),
        summaries=[each for each in tables if each.name.startswith("summary-")],
        beside=[each for each in tables if not each.name.startswith(("summary-", "estimates"))],
        estimates=next(each for each in tables if each.name == "estimates"),
        pictures=pictures,
        galleries=samples,
        unfinished=notes.unfinished(rows),
        commands=overview.commands(provenance),
        provenance=provenance,
    )


def galleries(store: Store, rows: pd.DataFrame) -> Iterator[Picture]:
    """The samples of each arm's first finished seed, where it has any."""
    finished = rows.assign(arm=named(rows))[rows["status"] == "ok"].sort_values("seed", kind="stable")
    firsts = finished.drop_duplicates("arm").set_index("arm")
    for arm in labels(counts(rows)):
        png = store.gallery(firsts.loc[arm, "cell"]) if arm in firsts.index else None
        if png and png.startswith(PNG):
            yield Picture(png, arm, f"seed {firsts.loc[arm, 'seed']}{_judged(firsts.loc[arm, 'digit_counts_200'])}", 0)


def _judged(digits: Sequence[int] | None) -> str:
    return "" if digits is None else f"; the judge sees of digits 0 to 9: {' '.join(map(str, digits))}"


def recorded(store: Store) -> list[dict[str, Any]]:
    """The provenance records of the store."""
    try:
        return store.provenance()
    except (OSError, ValueError) as error:
        raise BadInput(f"the provenance of {str(store.root)!r} cannot be read ({error})") from None


def show(rows: pd.DataFrame, tables: Sequence[Table], store: Store, page: Path) -> None:
    """Print the summary: a table, what a reader must know, and where everything lies."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    printed = summary.every_estimate(rows, summary.main(rows))
    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in printed.text:
        grid.add_column(Text(str(column)), overflow="fold")
    for line in printed.text.itertuples(index=False):
        grid.add_row(*map(Text, line))
    console.print(Text(f"{overview.title(rows)}: {overview.lede(rows)}", style="bold"), soft_wrap=True)
    console.print(grid)
    for line in (printed.caption, *notes.notes(rows), *beside.flagged(tables)):
        console.print(Text(line), soft_wrap=True)
    results = store.path(TABLE) if store.path(TABLE).exists() else store.path("rows")
    console.print(Text(f"results: {results}\nreport: {page}"), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
