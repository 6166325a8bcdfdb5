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
from analysis.comparison.comparisons import COLUMNS, compare_arms
from analysis.frames import adaptive_seeds, duplicates, load
from analysis.frames.arm_table import count_cells
from analysis.frames.declared import Declaration, read_declaration
from analysis.frames.load import Results
from analysis.frames.training_length import shortened_banner
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
from analysis.sections.beta import compare_betas
from analysis.sections.class_balance import compare_imbalance, run_balance_tests
from analysis.sections.comparisons import build_families
from analysis.sections.label_budget import compute_gains
from analysis.sections.samples import SampleSheets, build_galleries
from harness import closed_pipe
from harness.errors import InputError, strip_control_chars
from harness.exit_codes import exit_codes
from harness.storage.store import TABLE, Store

PIXELS_PER_INCH = 118  # of the page, an inch of a figure
OUTPUT_WIDTH = 200  # columns of a pipe or a file: nothing wraps
FILES_SECTION = "files"  # tables that are written and not shown
MAX_VERDICTS_PRINTED = 6  # of a family, in the terminal


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


@exit_codes()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    args = parser().parse_args(argv)
    store = Store(args.results)
    report = build_report(
        store,
        args.results,
        references.load(args.references),
        show_all_references=args.references is not None,
    )
    table_path = store.display_path(TABLE if store.backend.version(TABLE) else "rows")
    page = write(report, args.out or store.report_folder / "report")
    for message in report.results.damaged:
        print(f"damaged: {strip_control_chars(message)}", file=sys.stderr)
    print_summary(report)
    print(f"results: {table_path}\nreport: {page}")
    return 0


@dataclass(frozen=True)
class Report:
    """What a report is made of: what was found, where, its pictures, what is compared, how, and the
    tables of it.

    rows: those of `results` that count, with the columns of `adaptive.marked`. notes: what a reader
    must know.
    """

    results: Results
    rows: pd.DataFrame
    caveats: Sequence[str]
    results_path: str
    sheets: SampleSheets
    declaration: Declaration
    comparisons: pd.DataFrame
    families: Sequence[Family]
    tables: Mapping[str, Sequence[Table]]
    sentences: Mapping[str, Sequence[str]]


def build_report(
    store: Store, results_path: str, published: References, show_all_references: bool = False
) -> Report:
    """A results folder, what it is called, and published figures -> everything but our figures.

    What others printed is shown where an arm of ours was trained as they say, or where
    `show_all_references` asks for it.
    """
    loaded = load.read_results(store)
    marked = adaptive_seeds.mark_adaptive(
        loaded.rows[~duplicates.find_duplicates(loaded.rows)], loaded.provenance
    )
    rows = marked.drop(columns="unrecorded")  # told once on the page, not at every verdict
    declaration, comparisons = compare_declared(
        rows, read_declaration(loaded.provenance, loaded.rows)
    )
    over_beta = compare_betas(
        rows,
        declaration.spec.model_copy(
            update={"metrics": beta.select_metrics(declaration.spec.metrics)}
        ),
    )
    gains_at_budgets, gains_between = compute_gains(rows, declaration.spec)
    over_beta, gains_at_budgets = (
        grid_family.add_grid_p(table, comparisons) for table in (over_beta, gains_at_budgets)
    )
    uniform, between = run_balance_tests(rows)
    tables = {
        "results": summary.build_summary_tables(rows),
        "beta": beta.build_tables(over_beta),
        "accuracy": [
            *label_budget.build_tables(gains_at_budgets, gains_between),
            *image_agreement.build_tables(store, rows, comparisons),
        ],
        "balance": class_balance.build_tables(uniform, between),
        "beside": [],
        "estimates": [summary.build_estimate_table(rows)],
        FILES_SECTION: class_balance.build_seed_tables(uniform, between),
    }
    if show_all_references or matching.has_matching_arms(rows, published):
        tables["beside"] = [
            *reproduction.build_headline_tables(rows, published),
            *reproduction.build_tables(rows, published),
        ]
    sentences = {
        "beta": list(beta.build_sentences(over_beta)),
        "accuracy": list(label_budget.build_sentences(gains_at_budgets)),
        "balance": [],
    }
    if len(comparisons):
        sentences["balance"] = class_balance.build_sentences(
            compare_imbalance(rows, declaration.spec)
        )
    messages = [
        *duplicates.describe_duplicates(loaded.rows),
        *caveats.list_caveats(rows),
        *adaptive_seeds.describe_unrecorded(marked),
        *caveats.warn_about_selection(comparisons),
    ]
    return Report(
        loaded,
        rows,
        messages,
        results_path,
        samples.read_sheets(store, rows),
        replace(
            declaration,
            text=f"{declaration.text} {comparison_section.family_note(comparisons)}".strip(),
        ),
        comparisons,
        build_families(comparisons),
        tables,
        sentences,
    )


def compare_declared(
    rows: pd.DataFrame, declaration: Declaration
) -> tuple[Declaration, pd.DataFrame]:
    """The comparisons; a grid whose baseline has not been run yet is reported without any, and that
    is said.
    """
    try:
        return declaration, compare_arms(rows, declaration.spec)
    except InputError as error:
        return replace(
            declaration, text=f"{declaration.text} Nothing is compared: {error}."
        ), pd.DataFrame(columns=COLUMNS)


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
        page = build_page(report, draw_figures(report, out / "figures"))
        (out / "report.html").write_text(render(page), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"report {str(out)!r} cannot be written: {error.strerror}; expected a writable folder"
        ) from None
    return out / "report.html"


def draw_figures(report: Report, folder: Path) -> Mapping[str, Sequence[Picture]]:
    """Draw the figures and write them to `folder`; the pictures of each section of the page."""
    from analysis.plots import style
    from analysis.sections import figures  # they take seconds to import: bad input is told before

    pictures: dict[str, list[Picture]] = {}
    rows = report.rows
    items = figures.draw(rows, report.results.points, report.comparisons)
    for item in chain(items, figures.draw_sheets(rows, report.sheets)):
        png = style.save(item.figure, folder, item.name)[0].read_bytes()
        picture = Picture(
            png, item.title, item.caption, round(PIXELS_PER_INCH * item.figure.get_figwidth())
        )
        pictures.setdefault(item.section, []).append(picture)
    return pictures


def build_page(report: Report, pictures: Mapping[str, Sequence[Picture]]) -> Page:
    """All that the page shows."""
    rows, provenance = report.rows, report.results.provenance
    return Page(
        title=overview.title(rows),
        answer=comparison_section.headline_sentence(report.families),
        subtitle=overview.subtitle(rows),
        banner=shortened_banner(count_cells(rows)),
        facts=overview.collect_facts(rows),
        caveats=report.caveats,
        declared=report.declaration.text,
        families=report.families,
        tables=report.tables,
        sentences=report.sentences,
        pictures=pictures,
        galleries=build_galleries(rows, report.sheets),
        unfinished=caveats.list_unfinished_cells(rows),
        unstarted=caveats.describe_unstarted_cells(report.results.rows, provenance),
        commands=overview.list_commands(rows, provenance, report.results_path),
        provenance=provenance,
    )


def print_summary(report: Report) -> None:
    """Print the summary: a table, the verdicts, and what a reader must know."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else OUTPUT_WIDTH)
    rows = report.rows
    printed = summary.build_estimate_table(rows, summary.select_main_metrics(rows))
    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in printed.text:
        grid.add_column(Text(str(column)), overflow="fold")
    for line in printed.text.to_numpy():
        grid.add_row(*map(_escape_text, line))
    console.print(
        _escape_text(f"{overview.title(rows)}: {overview.subtitle(rows)}"),
        style="bold",
        soft_wrap=True,
    )
    console.print(grid)
    lines = [
        printed.caption,
        *comparison_section.terminal_lines(report.families, MAX_VERDICTS_PRINTED),
        *report.caveats,
    ]
    for text in (*lines, *reproduction.describe_flagged_rows(report.tables["beside"])):
        console.print(_escape_text(text), soft_wrap=True)


def _escape_text(text: str) -> Text:
    """Text that neither Rich nor the terminal takes for a command."""
    return Text(strip_control_chars(text))


if __name__ == "__main__":
    closed_pipe.guard()
    sys.exit(main())
