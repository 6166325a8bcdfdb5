"""From a results folder to a report: `python analysis/report.py RESULTS`.

It writes one page (report.html), the figures (PNG and PDF) and the tables (CSV, Markdown, LaTeX),
and prints the summary. It never changes the results.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis.comparison import grid_family
from analysis.comparison.comparisons import COLUMNS, compared
from analysis.frames import adaptive_seeds, duplicates, load
from analysis.frames.arm_table import counts
from analysis.frames.declared import Stated, stated
from analysis.frames.load import Results
from analysis.frames.training_length import banner
from analysis.rendering import table
from analysis.rendering.page import Page, render
from analysis.rendering.section import Family, Picture
from analysis.rendering.table import Table
from analysis.reproduction import matching, references
from analysis.reproduction.references import References
from analysis.sections import (
    beta,
    caveats,
    class_balance,
    image_agreement,
    label_budget,
    overview,
    reproduction,
    samples,
    summary,
)
from analysis.sections import comparisons as comparison_section
from analysis.sections.beta import trends
from analysis.sections.class_balance import balance, more_balanced
from analysis.sections.comparisons import families
from analysis.sections.label_budget import gains
from analysis.sections.samples import Sheets, albums
from harness import closed_pipe
from harness.errors import BadInput, StorageFailure, plain
from harness.storage.store import TABLE, Store

PIXELS = 118  # of the page, an inch of a figure
WIDE = 200  # columns of a pipe or a file: nothing wraps
FILES = "files"  # tables that are written and not shown
VERDICTS = 6  # of a family, in the terminal


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python analysis/report.py", description="Write a report of a results folder."
    )
    p.add_argument(
        "results",
        metavar="RESULTS",
        help="a folder or bucket that harness/bench.py wrote to, or a copy",
    )
    figures = (
        "a YAML file of published figures, laid over those of references.yaml, whose keys it has"
    )
    p.add_argument("--references", metavar="FILE", type=Path, help=figures)
    p.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="where the report goes (default: RESULTS/report; of a bucket "
        "results/BUCKET/PATH/report)",
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, 2 for bad input or 1 for storage that fails, which are said in one line."""
    args = parser().parse_args(argv)
    try:
        store = Store(args.results)
        report = made(
            store,
            args.results,
            references.load(args.references),
            beside_all=args.references is not None,
        )
        lies = store.shown(TABLE if store.place.stamp(TABLE) else "rows")
        page = write(report, args.out or store.beside / "report")
    except BadInput as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    except StorageFailure as failure:
        print(f"error: {plain(failure.told)}", file=sys.stderr)
        return 1
    for told in report.found.damaged:
        print(f"damaged: {plain(told)}", file=sys.stderr)
    show(report)
    print(f"results: {lies}\nreport: {page}")
    return 0


@dataclass(frozen=True)
class Report:
    """What a report is made of: what was found, where, its pictures, what is compared, how, and the
    tables of it.

    rows: those of `found` that count, with the columns of `adaptive.marked`. notes: what a reader
    must know.
    """

    found: Results
    rows: pd.DataFrame
    notes: Sequence[str]
    place: str
    sheets: Sheets
    stated: Stated
    compared: pd.DataFrame
    families: Sequence[Family]
    tables: Mapping[str, Sequence[Table]]
    sentences: Mapping[str, Sequence[str]]


def made(store: Store, place: str, printed: References, beside_all: bool = False) -> Report:
    """A results folder, what it is called, and published figures -> everything but our figures.

    What others printed is shown where an arm of ours was trained as they say, or where `beside_all`
    asks for it.
    """
    found = load.read(store)
    marked = adaptive_seeds.marked(found.rows[~duplicates.twice(found.rows)], found.provenance)
    rows = marked.drop(columns="unrecorded")  # told once on the page, not at every verdict
    said, comparisons = judged(rows, stated(found.provenance, found.rows))
    over_beta = trends(rows, said.how.model_copy(update={"metrics": beta.asked(said.how.metrics)}))
    each, against = gains(rows, said.how)
    over_beta, each = (grid_family.joined(table, comparisons) for table in (over_beta, each))
    uniform, between = balance(rows)
    tables = {
        "results": summary.glances(rows),
        "beta": beta.tables(over_beta),
        "accuracy": [
            *label_budget.tables(each, against),
            *image_agreement.tables(store, rows, comparisons),
        ],
        "balance": class_balance.tables(uniform, between),
        "beside": [],
        "estimates": [summary.every_estimate(rows)],
        FILES: class_balance.seed_by_seed(uniform, between),
    }
    if beside_all or matching.any_of_ours(rows, printed):
        tables["beside"] = [
            *reproduction.headline(rows, printed),
            *reproduction.tables(rows, printed),
        ]
    sentences = {
        "beta": list(beta.sentences(over_beta)),
        "accuracy": list(label_budget.sentences(each)),
        "balance": [],
    }
    if len(comparisons):
        sentences["balance"] = class_balance.sentences(more_balanced(rows, said.how))
    told = [
        *duplicates.sentences(found.rows),
        *caveats.notes(rows),
        *adaptive_seeds.told(marked),
        *caveats.chosen_on_test(comparisons),
    ]
    return Report(
        found,
        rows,
        told,
        place,
        samples.read(store, rows),
        replace(said, said=f"{said.said} {comparison_section.apart(comparisons)}".strip()),
        comparisons,
        families(comparisons),
        tables,
        sentences,
    )


def judged(rows: pd.DataFrame, said: Stated) -> tuple[Stated, pd.DataFrame]:
    """The comparisons; a grid whose baseline has not been run yet is reported without any, and that
    is said.
    """
    try:
        return said, compared(rows, said.how)
    except BadInput as error:
        return replace(said, said=f"{said.said} Nothing is compared: {error}."), pd.DataFrame(
            columns=COLUMNS
        )


def write(report: Report, out: Path) -> Path:
    """Write page, figures and tables under `out`; where the page lies."""
    try:
        for folder in ("figures", "tables"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for each in (
            *chain(*report.tables.values()),
            *chain(*(family.tables for family in report.families)),
        ):
            table.write(each, out / "tables")
        page = composed(report, drawn(report, out / "figures"))
        (out / "report.html").write_text(render(page), encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"report {str(out)!r} cannot be written: {error.strerror}; expected a writable folder"
        ) from None
    return out / "report.html"


def drawn(report: Report, folder: Path) -> Mapping[str, Sequence[Picture]]:
    """Draw the figures and write them to `folder`; the pictures of each section of the page."""
    from analysis.plots import style
    from analysis.sections import figures  # they take seconds to import: bad input is told before

    pictures: dict[str, list[Picture]] = {}
    rows = report.rows
    items = figures.draw(rows, report.found.points, report.compared)
    for item in chain(items, figures.sheets(rows, report.sheets)):
        png = style.save(item.figure, folder, item.name)[0].read_bytes()
        picture = Picture(png, item.title, item.caption, round(PIXELS * item.figure.get_figwidth()))
        pictures.setdefault(item.section, []).append(picture)
    return pictures


def composed(report: Report, pictures: Mapping[str, Sequence[Picture]]) -> Page:
    """All that the page shows."""
    rows, provenance = report.rows, report.found.provenance
    return Page(
        title=overview.title(rows),
        answer=comparison_section.answer(report.families),
        lede=overview.lede(rows),
        banner=banner(counts(rows)),
        facts=overview.facts(rows),
        notes=report.notes,
        stated=report.stated.said,
        families=report.families,
        tables=report.tables,
        sentences=report.sentences,
        pictures=pictures,
        galleries=albums(rows, report.sheets),
        unfinished=caveats.unfinished(rows),
        unstarted=caveats.unstarted(report.found.rows, provenance),
        commands=overview.commands(rows, provenance, report.place),
        provenance=provenance,
    )


def show(report: Report) -> None:
    """Print the summary: a table, the verdicts, and what a reader must know."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    rows = report.rows
    printed = summary.every_estimate(rows, summary.main(rows))
    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in printed.text:
        grid.add_column(Text(str(column)), overflow="fold")
    for line in printed.text.to_numpy():
        grid.add_row(*map(_plain, line))
    console.print(
        _plain(f"{overview.title(rows)}: {overview.lede(rows)}"), style="bold", soft_wrap=True
    )
    console.print(grid)
    said = [printed.caption, *comparison_section.lines(report.families, VERDICTS), *report.notes]
    for text in (*said, *reproduction.flagged(report.tables["beside"])):
        console.print(_plain(text), soft_wrap=True)


def _plain(text: str) -> Text:
    """Text that neither Rich nor the terminal takes for a command."""
    return Text(plain(text))


if __name__ == "__main__":
    closed_pipe.guard()
    sys.exit(main())
