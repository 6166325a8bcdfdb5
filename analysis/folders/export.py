"""`export FOLDER --to OUT`: results to publish: a folder, a CSV, a LaTeX table or results.json.

A folder has rows, curves, pictures, predictions, provenance and plug-ins, and results.json. It has
no weights, checkpoints, digit classifiers, logs and statuses of runs.
"""

import argparse
import hashlib
import json
import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from analysis.folders.changes import Changes, Copy, check_unfilled, count_files
from analysis.folders.contents import (
    check_no_run,
    list_others,
    open_store,
    read_contents,
)
from analysis.folders.estimates import Estimates, select_counted
from analysis.folders.new_folder import list_unfinished
from analysis.folders.results_json import make_results
from analysis.frames.load import ResultFrames, read_rows
from analysis.rendering.table import to_csv, to_latex
from analysis.sections.summary import build_summary_tables, select_main_metrics
from harness.errors import InputError
from harness.storage import layout
from harness.storage.local import write_atomically
from harness.storage.store import TABLE, Store

FORMATS = ("folder", "csv", "latex", "json")
RESULTS = "results.json"
PUBLISHED = (
    layout.CURVES,
    *layout.PICTURES,
    layout.PREDICTIONS,
    layout.TARGETS,
    layout.PROVENANCE,
    layout.PLUGINS,
)
# an absolute path of at least two parts, not part of an address or of a relative path
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/.~-])/[\w.-]+/[^\s\"'\\]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("folder", metavar="FOLDER", help="a results folder or bucket")
    out = "a new folder, or a file that is written or replaced"
    parser.add_argument("--to", metavar="OUT", required=True, help=out)
    kinds = (
        "folder (default); csv: one row per cell; latex: arms with mean ± SE and n, needs "
        "booktabs; json: every estimate with task, data, estimator and commit"
    )
    parser.add_argument("--format", choices=FORMATS, default="folder", help=kinds)


def run(args: argparse.Namespace) -> Iterator[str]:
    """Write the export, or with `--dry-run` nothing; the lines that the command prints."""
    store = open_store(args.folder)
    frames = read_rows(store)
    if args.format == "folder":
        yield from export_folder(store, frames, args.to, args.dry_run)
    else:
        yield from export_file(store, frames, args.to, args.format, args.dry_run)


def export_folder(store: Store, frames: ResultFrames, out: str, is_dry: bool) -> Iterator[str]:
    """Write a folder to publish; what was done, in lines. InputError if there is something."""
    target = open_store(out)
    if list_others(target):
        raise InputError(f"--to {target.name!r} is not empty; expected a new folder")
    check_no_run(store)
    contents = read_contents(store)
    sizes = {**contents.cell_files, **contents.shared_files}
    kept = {name for name, _ in PUBLISHED}
    chosen = {
        key: size
        for key, size in sizes.items()
        if layout.folder_of(key) in kept and _is_published(key, contents.rows)
    }
    estimates = _make_estimates(frames)
    left = {key: size for key, size in sizes.items() if key not in chosen}
    changes = Changes(
        target,
        copies=[Copy(store, key, size) for key, size in chosen.items()],
        rows=list(contents.rows.values()),
        unfinished=list_unfinished(target),
        names=store.arm_names() or None,
        details=[f"left out: {line}" for line in count_files(left)],
    )
    check_unfilled(changes, "--to", "a new folder")
    paths = list(_find_absolute_paths(store, chosen))
    if not is_dry:
        with changes.open() as new:
            changes.apply_to(new)
            content = _format_results(store, estimates, _hash_table(new))
            new.write(RESULTS, content.encode())
    yield from changes.describe(is_dry)
    yield f"{'would write' if is_dry else 'wrote'} {RESULTS} into {target.name}"
    yield from paths


def _is_published(key: str, rows: Container[str]) -> bool:
    """Whether a file is not one of a cell that has no row."""
    is_shared = layout.folder_of(key) in {name for name, _ in layout.SHARED_FOLDERS}
    return is_shared or layout.cell_of_key(key) in rows


def export_file(
    store: Store, frames: ResultFrames, out: str, kind: str, is_dry: bool
) -> Iterator[str]:
    """Write a file to publish; what was done, in lines."""
    path = Path(out)
    if "://" in out or path.is_dir():
        raise InputError(f"--to {out!r}; expected a file in a local folder")
    beware = []
    if kind == "csv":
        content = _format_rows(store, frames)
    elif kind == "latex":
        content = _format_latex(_make_estimates(frames))
    else:
        is_whole = dict(store.table.read().rows) == dict(store.rows())
        checksum = _hash_table(store) if is_whole else None
        content = _format_results(store, _make_estimates(frames), checksum)
        if not is_whole:
            beware = [f"beware: {TABLE} lacks rows that lie in rows/, so no checksum is given"]
    old = f", in place of {path.stat().st_size:,} bytes" if path.exists() else ""
    if not is_dry:
        try:
            write_atomically(path, content.encode())
        except OSError as error:
            raise InputError(
                f"--to {out!r} cannot be written: {error.strerror}; expected a writable folder"
            ) from None
    verb = "would write" if is_dry else "wrote"
    yield f"{verb} {out} ({len(content.encode()):,} bytes{old})"
    yield from beware


def _make_estimates(frames: ResultFrames) -> Estimates:
    return Estimates(select_counted(frames))


def _format_rows(store: Store, frames: ResultFrames) -> str:
    """All rows as CSV, each with the name of its arm, of a trial empty."""
    rows = store.frame()
    arms = dict(zip(frames.rows["cell"], frames.rows["arm"], strict=True))
    lists = [name for name in ("digit_counts", "digit_counts_200") if rows[name].notna().any()]
    rows = rows.assign(**{name: rows[name].map(_format_counts) for name in lists})
    rows.insert(0, "arm", rows["cell"].map(lambda cell: arms.get(cell, "")))
    return to_csv(rows)


def _format_counts(counts: Sequence[int] | None) -> str | None:
    return None if counts is None else str([int(count) for count in counts])


def _format_latex(estimates: Estimates) -> str:
    """A table of arms for each evaluation set."""
    metrics = select_main_metrics(estimates.rows, estimates.metrics)
    tables = build_summary_tables(estimates.table, estimates.arm_counts, metrics)
    return "\n".join(to_latex(each) for each in tables if len(each.text))


def _format_results(store: Store, estimates: Estimates, checksum: str | None) -> str:
    found = make_results(estimates, store.provenance(), checksum)
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _hash_table(store: Store) -> str | None:
    content = store.read(TABLE)
    return None if content is None else hashlib.sha256(content).hexdigest()


def _find_absolute_paths(store: Store, keys: dict[str, int]) -> Iterator[str]:
    """A line for each record of a run that names a path of a machine."""
    for key in keys:
        if layout.folder_of(key) == layout.PROVENANCE[0]:
            text = (store.read(key) or b"").decode(errors="replace")
            found = _ABSOLUTE_PATH.search(text)
            if found:
                yield f"beware: {key} names a path of a machine: {found.group()}"
