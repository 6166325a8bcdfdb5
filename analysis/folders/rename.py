"""`rename FOLDER --arm NAME --to NEW`: the name under which tables, plots and the page show an arm.

The name lies in names.json. Ids and rows stay as they are.
"""

import argparse

import numpy as np

from analysis.folders.changes import Changes
from analysis.folders.contents import check_no_run, open_store
from analysis.frames.load import name_arms, read_rows
from harness.errors import MAX_QUOTED_LENGTH, InputError, short_repr, unknown_name_error
from harness.storage.artifacts import ArmName
from harness.storage.schema import ARM_COLUMNS
from harness.storage.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("folder", metavar="FOLDER", help="a results folder or bucket")
    arm = "the arm, as the report names it now"
    parser.add_argument("--arm", metavar="NAME", required=True, help=arm)
    new = "its new name; the one that its settings give takes a name back"
    parser.add_argument("--to", metavar="NEW", required=True, help=new)


def run(args: argparse.Namespace) -> Changes:
    """Plan the command."""
    store = open_store(args.folder)
    check_no_run(store)
    return plan_rename(store, args.arm, args.to)


def plan_rename(store: Store, arm: str, new: str) -> Changes:
    """The changes that show an arm under another name; InputError if another arm has it."""
    rows = read_rows(store).rows
    names = dict.fromkeys(rows["arm"]) if len(rows) else {}
    if arm not in names:
        raise unknown_name_error("arm", arm, names)
    if not new.strip() or not new.isprintable() or len(new) > MAX_QUOTED_LENGTH:
        raise InputError(
            f"--to {short_repr(new)}; expected a name of 1 to {MAX_QUOTED_LENGTH} letters in a line"
        )
    made = name_arms(rows)["arm"]  # from the settings
    automatic = made[rows["arm"] == arm].iloc[0]
    if new in names and new != arm:
        raise InputError(f"--to {new!r} is the name of another arm; expected a new name")
    if new != automatic and new in set(made):
        raise InputError(
            f"--to {new!r} is the name that the settings of another arm give; expected a new name"
        )
    first = rows[rows["arm"] == arm].iloc[0]
    values = {name: _to_plain(first[name]) for name in ARM_COLUMNS}
    given = ArmName(new, values)
    former = store.arm_names()
    others = [each for each in former if each.key != given.key]
    changed = others if new == automatic else [*others, given]
    return Changes(
        store,
        names=None if changed == former else changed,
        details=[f"arm {arm} -> {new}"],
    )


def _to_plain(value: object) -> object:
    """A number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value
