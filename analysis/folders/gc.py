"""`gc FOLDER`: remove what finished cells leave behind: weights, checkpoints, kept scores.

It also completes a change of rows that was interrupted.
"""

import argparse

from analysis.folders.changes import Changes
from analysis.folders.contents import (
    FolderContents,
    check_no_run,
    list_leftovers,
    open_store,
    read_contents,
)
from harness.storage.layout import (
    CHECKPOINTS,
    SCORES,
    WEIGHTS,
    cell_of_key,
    folder_of,
)
from harness.storage.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("folder", metavar="FOLDER", help="a results folder or bucket")
    keep = "keep the weights; checkpoints, kept scores and temporary files are removed"
    parser.add_argument("--keep-weights", action="store_true", help=keep)


def run(args: argparse.Namespace) -> Changes:
    """Plan the command."""
    store = open_store(args.folder)
    check_no_run(store)
    return plan_gc(store, keep_weights=args.keep_weights)


def plan_gc(store: Store, keep_weights: bool = False) -> Changes:
    """The changes that remove the state of finished cells, and temporary files over an hour old.

    A cell is finished when its row says ok or diverged. A failed one keeps its checkpoint for a
    retry. So does every trial of a search, as a longer training may go on from it: checkpoints of
    trials are stored under another id than that of the cell.
    """
    contents = read_contents(store)
    folders = [CHECKPOINTS, SCORES, *([] if keep_weights else [WEIGHTS])]
    names = {name for name, _ in folders}
    finished = {cell for cell, row in contents.rows.items() if row["status"] in ("ok", "diverged")}
    removals = {
        key: size
        for key, size in contents.cell_files.items()
        if folder_of(key) in names and cell_of_key(key) in finished
    }
    leftovers = list_leftovers(store) | contents.files_of(contents.dropped)
    return Changes(
        store,
        removals=removals | leftovers,
        removed_rows=contents.dropped,
        interrupted=contents.stale,
        details=_describe(contents, removals, leftovers),
    )


def _describe(
    contents: FolderContents, removals: dict[str, int], leftovers: dict[str, int]
) -> list[str]:
    total = sum(removals.values()) + sum(leftovers.values())
    lines = [f"{total:,} bytes that finished cells do not need in {contents.store.name}"]
    if any(folder_of(key) == WEIGHTS[0] for key in removals):
        lines.append(
            "without weights these cells get no further score and no second stage; rows, curves "
            "and pictures stay"
        )
    kept = [
        key
        for key in contents.cell_files
        if folder_of(key) == CHECKPOINTS[0] and key not in {**removals, **leftovers}
    ]
    if kept:
        lines.append(f"kept: {len(kept):,} checkpoints of unfinished cells and of searches")
    return lines
