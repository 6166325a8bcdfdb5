"""From a results folder to a report: `python analysis/report.py RESULTS`.

It writes one page (report.html), the figures (PNG and PDF) and the tables (CSV, Markdown, LaTeX),
and prints the summary. It never changes the results.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis.comparison import caveats
from analysis.comparison.comparisons import COLUMNS, compare_pairs
from analysis.comparison.pairing import choose_pairs
from analysis.frames import adaptive_seeds, duplicates, load, searches
from analysis.frames.arm_table import (
    count_cells,
    estimate_arms,
    scale_estimates,
    summarize_arms,
)
from analysis.frames.declared import Declaration, read_declaration
from analysis.frames.image_errors import add_image_errors
from analysis.frames.metrics import describe_metrics
from analysis.frames.training_length import shortened_banner
from analysis.rendering import table
from analysis.rendering.page import Page, PageSection, render
from analysis.rendering.section import Content, Picture, Plot
from analysis.report_data import ReportData
from analysis.reproduction import references
from analysis.reproduction.references import References
from analysis.sections import (
    beta,
    class_balance,
    comparisons,
    label_budget,
    learning_curves,
    literature,
    overview,
    reproduction,
    samples,
    seeds,
    summary,
    verdicts,
)
from analysis.sections.tuning import section as tuning
from harness import closed_pipe
from harness.errors import InputError, strip_control_chars
from harness.exit_codes import exit_codes
from harness.storage.store import TABLE, Store

PIXELS_PER_INCH = 118  # of the page, an inch of a figure
OUTPUT_WIDTH = 200  # columns of a pipe or a file: nothing wraps
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
    for message in report.data.frames.damaged:
        print(f"damaged: {strip_control_chars(message)}", file=sys.stderr)
    print_summary(report)
    print(f"results: {table_path}\nreport: {page}")
    return 0


# The sections of the page, in their order; nothing else knows it.
SECTIONS = (
    verdicts.SECTION,
    summary.RESULTS,
    comparisons.SECTION,
    tuning.SECTION,
    beta.SECTION,
    label_budget.SECTION,
    class_balance.SECTION,
    reproduction.SECTION,
    literature.SECTION,
    seeds.SECTION,
    learning_curves.SECTION,
    samples.SECTION,
    summary.ESTIMATES,
    overview.MISSING,
    overview.REPRODUCE,
)


@dataclass(frozen=True)
class Report:
    """What a report is built from, and the content of each section, by the section's name.

    title: the names of the grids. subtitle: what was run, in one line.
    """

    title: str
    subtitle: str
    data: ReportData
    contents: Mapping[str, Content]


def build_report(
    store: Store, results_path: str, published: References, show_all_references: bool = False
) -> Report:
    """A results folder, its name and published figures -> the report, its plots not yet drawn.

    Published figures are shown where an arm was trained as they were, or all of them where
    `show_all_references` is true.
    """
    data = read_data(store, results_path, published, show_all_references)
    return Report(
        title=overview.title(data.rows),
        subtitle=overview.subtitle(data.rows),
        data=data,
        contents={section.name: section.build(data) for section in SECTIONS},
    )


def read_data(
    store: Store, results_path: str, published: References, show_all_references: bool
) -> ReportData:
    """Read a results folder and derive what the sections share.

    A seed that several cells claim counts in nothing.
    """
    frames = load.read_results(store)
    current, former = searches.drop_stale(frames.rows, frames.trials)
    counted = duplicates.drop_duplicates(current)
    marked = adaptive_seeds.mark_adaptive(counted, frames.provenance)
    rows = marked.drop(columns="unrecorded")  # one caveat names them, not every verdict
    arms, arm_counts, metrics = summarize_arms(rows), count_cells(rows), describe_metrics(rows)
    scaled = scale_estimates(estimate_arms(rows, arm_counts, list(metrics)))
    estimates = add_image_errors(scaled, rows)
    declaration = read_declaration(frames.provenance, frames.rows)
    units = searches.to_units(rows, declaration.spec.unit)
    compared_arms = arms if units is rows else summarize_arms(units)
    declaration, compared = compare_declared(units, compared_arms, declaration)
    messages = [
        *duplicates.describe_duplicates(frames.rows),
        *former,
        *caveats.list_caveats(rows, arm_counts, estimates, declaration.spec.unit),
        *adaptive_seeds.describe_unrecorded(marked),
        *caveats.warn_about_selection(compared, bool((rows["validation"] > 0).any())),
    ]
    return ReportData(
        store=store,
        results_path=results_path,
        frames=frames,
        rows=rows,
        finished=rows if (rows["status"] == "ok").all() else rows[rows["status"] == "ok"],
        arms=arms,
        arm_counts=arm_counts,
        arm_names=list(arm_counts.index),
        metrics=metrics,
        estimates=estimates,
        main_metrics=summary.select_main_metrics(rows, metrics),
        units=units,
        unit_arms=compared_arms,
        declaration=declaration,
        comparisons=compared,
        families=verdicts.build_families(compared, metrics, declaration.spec.unit),
        caveats=messages,
        references=published,
        show_all_references=show_all_references,
        sheets=samples.read_sheets(store, rows),
    )


def compare_declared(
    rows: pd.DataFrame, arms: pd.DataFrame, declaration: Declaration
) -> tuple[Declaration, pd.DataFrame]:
    """The comparisons that the grid declared, and what they mean together, in the declaration.

    Where the declared baseline has not been run yet, nothing is compared, and the declaration says
    so.
    """
    spec, text = declaration.spec, declaration.text
    try:
        compared = compare_pairs(rows, arms, choose_pairs(arms, spec), spec, declaration.plan)
    except InputError as error:
        compared = pd.DataFrame(columns=COLUMNS)
        text = f"{text} Nothing is compared: {error}."
    if declaration.plan is not None:
        text = f"{text} {declaration.plan.describe(bool(len(compared)))}"
    about = searches.describe_unit(spec.unit, rows)
    text = " ".join(f"{text} {verdicts.family_note(compared)} {about}".split())
    return replace(declaration, text=text), compared


def write(report: Report, out: Path) -> Path:
    """Write page, figures and tables under `out`; the path of the page.

    InputError: the folder cannot be written.
    """
    try:
        for folder in ("figures", "tables"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for content in report.contents.values():
            for each in (*content.tables, *content.files):
                table.write(each, out / "tables")
        pictures = draw_figures(report.contents, out / "figures")
        page = build_page(report, pictures, find_samples(report.data.store, out))
        (out / "report.html").write_text(render(page), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"report {str(out)!r} cannot be written: {error.strerror}; expected a writable folder"
        ) from None
    return out / "report.html"


def draw_figures(contents: Mapping[str, Content], folder: Path) -> dict[str, list[Picture]]:
    """Draw the plots of every section and write them to `folder`; the pictures by section."""
    return {
        name: [_save_plot(plot, folder) for plot in content.draw_plots()]
        for name, content in contents.items()
    }


def _save_plot(plot: Plot, folder: Path) -> Picture:
    from analysis.plots import style  # takes seconds to import: errors of input come before

    png = style.save(plot.figure, folder, plot.name)[0].read_bytes()
    width = round(PIXELS_PER_INCH * plot.figure.get_figwidth())
    return Picture(png, plot.title, plot.caption, width)


def find_samples(store: Store, out: Path) -> str:
    """The address of the pictures of samples as seen from a page in `out`.

    It is empty where the page does not lie in the results folder: nothing is known of where it
    will go.
    """
    root, folder = store.report_folder.resolve(), out.resolve()
    if not (root / "samples").is_dir() or not folder.is_relative_to(root):
        return ""
    return "/".join([*[".."] * len(folder.relative_to(root).parts), "samples"])


def build_page(
    report: Report, pictures: Mapping[str, Sequence[Picture]], samples_address: str = ""
) -> Page:
    """The page: its head, and every section that has anything to show."""
    data = report.data
    sections = [
        PageSection(
            each.name, content.heading or each.title, content, pictures[each.name], each.dense
        )
        for each in SECTIONS
        for content in [report.contents[each.name]]
    ]
    return Page(
        title=report.title,
        answer=verdicts.headline_sentence(data.families),
        subtitle=report.subtitle,
        banner=shortened_banner(data.arm_counts),
        samples=samples_address,
        sections=[each for each in sections if not each.is_empty],
    )


def print_summary(report: Report) -> None:
    """Print the summary: a table, the verdicts, and what a reader must know."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else OUTPUT_WIDTH)
    data = report.data
    printed = summary.build_estimate_table(data.estimates, data.arm_counts, data.main_metrics)
    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in printed.text:
        grid.add_column(Text(str(column)), overflow="fold")
    for line in printed.text.to_numpy():
        grid.add_row(*map(_escape_text, line))
    console.print(
        _escape_text(f"{report.title}: {report.subtitle}"),
        style="bold",
        soft_wrap=True,
    )
    console.print(grid)
    lines = [
        printed.caption,
        *verdicts.terminal_lines(data.families, MAX_VERDICTS_PRINTED),
        *data.caveats,
        *reproduction.describe_flagged_rows(report.contents["beside"].tables),
    ]
    for text in lines:
        console.print(_escape_text(text), soft_wrap=True)


def _escape_text(text: str) -> Text:
    """Text without markup of Rich and without control characters."""
    return Text(strip_control_chars(text))


def start() -> int:
    """Run the command as a process of its own; the exit code."""
    closed_pipe.guard()
    return main()


if __name__ == "__main__":
    sys.exit(start())
