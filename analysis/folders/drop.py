"""`drop FOLDER --arm NAME`: remove the rows and files of an arm, or of single cells."""

import argparse
from collections.abc import Sequence

import pandas as pd

from analysis.folders.changes import Changes
from analysis.folders.contents import check_no_run, open_store, read_contents
from analysis.frames.load import read_rows
from harness.errors import InputError, unknown_name_error
from harness.storage.artifacts import ArmName
from harness.storage.schema import ARM_COLUMNS
from harness.storage.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("folder", metavar="FOLDER", help="a results folder or bucket")
    for flag, value, text in (
        ("--arm", "NAME", "an arm, as the report names it; may be repeated"),
        ("--cell", "ID", "a cell, as in the column `cell`, a trial of a search too; repeatable"),
    ):
        parser.add_argument(flag, metavar=value, action="append", default=[], help=text)


def run(args: argparse.Namespace) -> Changes:
    """Plan the command."""
    store = open_store(args.folder)
    if not (args.arm or args.cell):
        raise InputError("nothing to drop; expected --arm NAME or --cell ID")
    check_no_run(store)
    return plan_drop(store, args.arm, args.cell)


def plan_drop(store: Store, arms: Sequence[str], cells: Sequence[str]) -> Changes:
    """The changes that remove these arms (names) and cells (ids) from a folder."""
    contents = read_contents(store)
    for cell in cells:
        if cell not in contents.rows:
            raise unknown_name_error("cell", cell, contents.rows)
    rows = read_rows(store).rows if arms else pd.DataFrame({"arm": [], "cell": []})
    for arm in arms:
        if arm not in set(rows["arm"]):
            raise _unknown_arm_error(arm, set(rows["arm"]), len(contents.dropped))
    chosen = rows[rows["arm"].isin(list(arms))]
    dropped = list(dict.fromkeys([*chosen["cell"], *cells]))
    details = [
        f"arm {arm}: {len(group):,} cells, seeds {', '.join(map(str, sorted(group['seed'])))}"
        for arm, group in chosen.groupby("arm", sort=False)
    ]
    details += [f"cell {cell}: {contents.rows[cell]['model']}" for cell in dict.fromkeys(cells)]
    details += ["a grid that asks for these cells trains them again"]
    kept = {cell: row for cell, row in contents.rows.items() if cell not in set(dropped)}
    names, former = _keep_names(store, [*kept.values()]), store.arm_names()
    return Changes(
        store,
        removals=contents.files_of(dropped),
        removed_rows=dropped,
        names=None if names == former else names,
        details=details,
    )


def _keep_names(store: Store, rows: Sequence[dict[str, object]]) -> list[ArmName]:
    """The names of arms that still have rows."""
    arms = {tuple(row[name] for name in ARM_COLUMNS) for row in rows}
    return [each for each in store.arm_names() if each.key in arms]


def _unknown_arm_error(arm: str, known: set[str], interrupted: int) -> InputError:
    error = unknown_name_error("arm", arm, known)
    if not interrupted:
        return error
    return InputError(
        f"{error}; a drop of {interrupted:,} cells was interrupted: its rows are gone, and the "
        "command gc removes their files"
    )
