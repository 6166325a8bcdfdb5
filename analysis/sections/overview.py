"""What was run, on what and how: the title of a report, and the sections that end it."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pandas as pd

from analysis.comparison.caveats import describe_unstarted_cells, list_unfinished_cells
from analysis.frames.arm_table import format_status_counts
from analysis.rendering.section import Content
from analysis.report_data import ReportData, Section

MAX_LISTED = 4
_COMMIT = re.compile(r"[0-9a-f]{7,64}")  # without the + of changed files


def build_missing(data: ReportData) -> Content:
    """The cells without a result, and how many of a run have no row yet."""
    frames = data.frames
    unstarted = describe_unstarted_cells(len(frames.rows), frames.provenance)
    unfinished = list_unfinished_cells(data.rows)
    return Content(
        template="missing.html", values={"unstarted": unstarted, "unfinished": unfinished}
    )


def build_reproduce(data: ReportData) -> Content:
    """The facts of the runs, their commands and their provenance."""
    provenance = data.frames.provenance
    return Content(
        template="reproduce.html",
        values={
            "facts": collect_facts(data.rows, data.arm_counts),
            "commands": list_commands(data.rows["git_commit"], provenance, data.results_path),
            "provenance": provenance,
        },
    )


MISSING = Section("missing", "What is missing or failed", build_missing)
REPRODUCE = Section("reproduce", "What was run, and how to run it again", build_reproduce)


def title(rows: pd.DataFrame) -> str:
    """The names of the grids that ran the cells."""
    return format_list(rows["grid"]) or "results"


def subtitle(rows: pd.DataFrame) -> str:
    """What was run, in one line: cells by status, data, devices, commit."""
    parts = (
        _format_cells(rows["status"]),
        format_list(rows["dataset"]),
        format_list(rows["device"]),
        _format_commits(rows["git_commit"]),
    )
    return " · ".join(part for part in parts if part)


def collect_facts(rows: pd.DataFrame, arm_counts: pd.DataFrame) -> dict[str, str]:
    """Results table and its `count_cells` -> facts of the runs by name; what no row records is left
    out.
    """
    entries = {
        "Cells": format_status_counts(rows["status"].value_counts()),
        "Arms": _format_arms(arm_counts["cells"]),
        "Data": format_list(rows["dataset"]),
        "Steps": _format_steps(rows),
        "Time": _format_time(rows["train_seconds"].sum(), rows["score_seconds"].sum()),
        "Judge": _format_judge_accuracy(rows),
        "Devices": format_list(rows["device"]),
        "Hosts": format_list(rows["host"]),
        "Commit": _format_commits(rows["git_commit"]).replace("commit ", ""),
        "Versions": _format_versions(rows["versions"]),
        "Seeds drive": "; or ".join(rows["seeded"].dropna().str.replace(",", ", ").unique()),
        "Last row written": format_list([rows["finished"].dropna().max()]),
    }
    return {name: text for name, text in entries.items() if text}


def format_list(values: Iterable[Any]) -> str:
    """The distinct values in words, the first few of them by name.

    >>> format_list(["a", "b", "a"]), format_list("abcdef")
    ('a, b', 'a, b, c, d and 2 more')
    """
    found = values.unique() if isinstance(values, pd.Series) else dict.fromkeys(values)
    distinct = [str(value) for value in found if not pd.isna(value)]
    rest = len(distinct) - MAX_LISTED
    return ", ".join(distinct[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def list_commands(
    commits: pd.Series, provenance: Sequence[Mapping[str, Any]], results: str
) -> list[str]:
    """The commits of the rows, the records of the runs, the folder -> the commands that make the
    results and the page again.

    They are the checkout of a single commit, each distinct command of a run, and the report's own.
    """
    recorded = [record["command"] for record in provenance if record.get("command")]
    lines = [
        command if isinstance(command, str) else shlex.join(map(str, command))
        for command in recorded
    ]
    distinct = commits.dropna().unique()
    single = (
        [f"git checkout {distinct[0]}"]
        if len(distinct) == 1 and _COMMIT.fullmatch(distinct[0])
        else []
    )
    return [*single, *dict.fromkeys(lines), f"python analysis/report.py {shlex.quote(results)}"]


def _format_cells(statuses: pd.Series) -> str:
    cells = "1 cell" if len(statuses) == 1 else f"{len(statuses):,} cells"
    return f"{cells}: {format_status_counts(statuses.value_counts())}"


def _format_arms(cells: "pd.Series[int]") -> str:
    each = f"{cells.min()}" if cells.min() == cells.max() else f"{cells.min()} to {cells.max()}"
    return f"{len(cells):,}, with {each} {'seed' if each == '1' else 'seeds'} each"


def _format_steps(rows: pd.DataFrame) -> str:
    groups = rows.groupby("iterations", sort=True)["model"].unique()
    return "; ".join(f"{steps:,} ({', '.join(models)})" for steps, models in groups.items())


def _format_time(training: float, scoring: float) -> str:
    spent = [timedelta(seconds=round(seconds)) for seconds in (training, scoring)]
    return "{} of training, {} of scoring (h:mm:ss)".format(*spent)


def _format_judge_accuracy(rows: pd.DataFrame) -> str:
    judges = rows.dropna(subset=["judge_accuracy"]).drop_duplicates(["dataset", "judge_accuracy"])
    several = judges["dataset"].nunique() > 1
    return "; ".join(
        f"{100 * grey:.2f} % of the grey and {100 * binary:.2f} % of the binarised test images "
        f"right" + (f" ({dataset})" if several else "")
        for dataset, grey, binary in judges[
            ["dataset", "judge_accuracy", "judge_accuracy_binary"]
        ].to_numpy()
    )


def _format_commits(commits: pd.Series) -> str:
    names = [
        f"commit {c.rstrip('+')[:12]}{' with changed files' if c.endswith('+') else ''}"
        for c in commits.dropna().unique()
    ]
    return format_list(names)


def _format_versions(versions: pd.Series) -> str:
    """Each library with every version that was in use: more than one says that rows were made with
    different ones.
    """
    by_library: dict[str, list[str]] = {}
    for text in versions.dropna().unique():
        for library, version in json.loads(text).items():
            by_library.setdefault(library, []).append(str(version))
    return ", ".join(
        f"{library} {'/'.join(dict.fromkeys(used))}" for library, used in sorted(by_library.items())
    )
