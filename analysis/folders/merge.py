"""`merge A B --into C`: the rows and files of several folders in one, none of which is lost.

Rows of one cell that are equal become one. Rows of one cell that differ are a conflict: it is
refused, or decided by `--prefer`.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.folders.changes import Changes, Copy, check_unfilled, count_files
from analysis.folders.contents import (
    FolderContents,
    check_no_run,
    list_others,
    open_store,
    read_contents,
)
from analysis.folders.new_folder import list_unfinished
from harness.errors import InputError, strip_control_chars
from harness.storage import layout
from harness.storage.artifacts import ArmName
from harness.storage.schema import Row, cell_of
from harness.storage.store import Store

MAX_VALUES = 3  # of a conflict that are printed
# columns that differ between any two trainings of a cell; they are printed last
TIMES = ("finished", "train_seconds", "score_seconds")
RUN_COLUMNS = (*TIMES, "grid", "evaluated", "run", "host", "git_commit", "versions", "pack")


@dataclass(frozen=True)
class Conflict:
    """Folders (their numbers) that hold different values under one name.

    text: what differs, in a line
    """

    folders: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Merged:
    """How several folders become one.

    origins: for each cell the numbers of the folders that hold the row that counts, in order
    """

    origins: Mapping[str, Sequence[int]]
    conflicts: Sequence[Conflict]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("folders", metavar="FOLDER", nargs="+", help="folders or buckets to merge")
    into = "where the rows and files go: a new folder, or one of the FOLDERs, which is completed"
    parser.add_argument("--into", metavar="FOLDER", required=True, help=into)
    prefer = "whose rows count where rows of one cell differ; repeated: the next after the first"
    parser.add_argument("--prefer", metavar="FOLDER", action="append", default=[], help=prefer)


def run(args: argparse.Namespace) -> Changes:
    """Plan the command; conflicts are printed to standard error and refused."""
    target = open_store(args.into)
    stores = {_identify(store): store for store in map(open_store, args.folders)}
    known = dict(stores)
    preferred = [_identify(open_store(path)) for path in args.prefer]
    unknown = [path for path, key in zip(args.prefer, preferred, strict=True) if key not in known]
    if unknown:
        raise InputError(
            f"--prefer {unknown[0]!r}; expected one of the folders: {', '.join(args.folders)}"
        )
    own = _identify(target)
    order = [*([own] if own in stores else []), *(key for key in stores if key != own)]
    for key in order:
        check_no_run(stores[key])
    contents = [read_contents(stores[key]) for key in order]
    for each in contents:
        for sentence in each.corrupt.values():
            print(f"damaged: {strip_control_chars(sentence)}", file=sys.stderr)
    numbers = [order.index(key) for key in preferred]
    changes = plan_merge(target, contents, numbers, is_input=own in stores)
    if own not in stores:
        check_unfilled(changes, "--into", "a new folder, or one that is merged as well")
    return changes


def plan_merge(
    target: Store, folders: Sequence[FolderContents], preferred: Sequence[int], is_input: bool
) -> Changes:
    """The changes of `target`, which is the first of the folders if `is_input`.

    preferred: numbers of the folders whose rows count in a conflict, the first one first.
    InputError: conflicts that these do not decide, each printed to standard error.
    """
    merged = merge_rows([each.rows for each in folders], preferred)
    shared, shared_conflicts = _choose_shared(folders, preferred)
    names, name_conflicts = _merge_names([each.store.arm_names() for each in folders], preferred)
    conflicts = [*merged.conflicts, *shared_conflicts, *name_conflicts]
    if conflicts:
        places = [each.store.name for each in folders]
        for conflict in conflicts:
            line = conflict.text.format(*places)
            print(f"conflict: {strip_control_chars(line)}", file=sys.stderr)
        raise InputError(
            f"{len(conflicts):,} conflict{'s' * (len(conflicts) > 1)} between the folders; nothing "
            "was changed; expected --prefer FOLDER, whose rows then count"
        )
    kept = 0 if is_input else None  # the number of the target
    cells, replaced, notes = _choose_cell_files(folders, merged, kept)
    sources = cells | shared
    copies = [
        Copy(folders[number].store, key, _size(folders[number], key))
        for key, number in sources.items()
        if number != kept
    ]
    details = [*_describe_replaced(folders[0], copies)] if is_input else []
    rows = [folders[o[0]].rows[cell] for cell, o in merged.origins.items() if kept not in o]
    is_named = names != (folders[0].store.arm_names() if is_input else [])
    return Changes(
        target,
        copies=copies,
        replaced={key: _size(folders[0], key) for key in replaced},
        rows=rows,
        unfinished=list_unfinished(target),
        names=names if is_named else None,
        details=[
            *_describe_rows(folders, merged, rows),
            *notes,
            *details,
            *_describe_others(folders, kept),
        ],
    )


def merge_rows(tables: Sequence[Mapping[str, Row]], preferred: Sequence[int] = ()) -> Merged:
    """Which row of each cell counts; a conflict for each cell that `preferred` does not decide."""
    origins: dict[str, list[int]] = {}
    conflicts = []
    for cell in dict.fromkeys(cell for table in tables for cell in table):
        holders = [number for number, table in enumerate(tables) if cell in table]
        first = tables[holders[0]][cell]
        differing = [number for number in holders if tables[number][cell] != first]
        chosen = next((number for number in preferred if number in holders), holders[0])
        row = tables[chosen][cell]
        if differing and chosen not in preferred:
            text = _describe_difference(first, tables[differing[0]][cell], holders[0], differing[0])
            conflicts.append(Conflict(tuple(holders), text))
        origins[cell] = [number for number in holders if tables[number][cell] == row]
    return Merged(origins, conflicts)


def _describe_difference(a: Row, b: Row, folder_a: int, folder_b: int) -> str:
    """What two rows differ in; `{0}` is where the name of folder 0 goes."""
    columns = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    columns.sort(key=lambda name: name in RUN_COLUMNS)
    values = [
        f"{name} {_quote(a.get(name))} in {{{folder_a}}}, {_quote(b.get(name))} in {{{folder_b}}}"
        for name in columns[:MAX_VALUES]
    ]
    rest = columns[MAX_VALUES:]
    more = f"; also {', '.join(rest)}" if rest else ""
    return f"{_name_cell(a)}: {'; '.join(values)}{_escape(more)}"


def _name_cell(row: Row) -> str:
    try:
        return _escape(f"{cell_of(row)} (cell {row['cell']})")
    except (ValueError, TypeError, AttributeError, KeyError):
        return _escape(f"cell {row['cell']}")


def _quote(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return _escape(text if len(text) <= 40 else f"{text[:39]}…")


def _escape(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _choose_cell_files(
    folders: Sequence[FolderContents], merged: Merged, target: int | None
) -> tuple[dict[str, int], list[str], list[str]]:
    """Which folder (its number) each file of a cell comes from; files of the target to remove, as
    they belong to a row that no longer counts; and sentences.

    The files of a cell come from folders that hold the row that counts. Those of a cell without a
    row, such as a checkpoint of an unfinished training, come from the first folder that has them.
    """
    sources: dict[str, int] = {}
    differing = []
    for number, folder in enumerate(folders):
        for key, size in folder.cell_files.items():
            cell = layout.cell_of_key(key)
            if number not in merged.origins.get(cell, [number]):
                continue
            if key not in sources:
                sources[key] = number
            elif _size(folders[sources[key]], key) != size:
                differing.append(key)
    replaced = [
        key
        for key in (folders[target].cell_files if target is not None else ())
        if (cell := layout.cell_of_key(key)) in folders[0].rows
        and target not in merged.origins[cell]
        and key not in sources
    ]
    notes = [
        f"{key} differs between folders whose rows are equal: that of "
        f"{folders[sources[key]].store.name} is kept"
        for key in differing
    ]
    return sources, replaced, notes


def _choose_shared(
    folders: Sequence[FolderContents], preferred: Sequence[int]
) -> tuple[dict[str, int], list[Conflict]]:
    """Which folder each file comes from that cells share; a conflict where classes differ."""
    order = [*preferred, *(n for n in range(len(folders)) if n not in preferred)]
    sources: dict[str, int] = {}
    conflicts = []
    for key in dict.fromkeys(key for folder in folders for key in folder.shared_files):
        holders = [number for number in range(len(folders)) if key in folders[number].shared_files]
        first = min(holders)
        sources[key] = first
        if layout.folder_of(key) != layout.TARGETS[0] or len(holders) == 1:
            continue
        texts = {number: folders[number].store.read(key) for number in holders}
        others = [number for number in holders if texts[number] != texts[first]]
        chosen = next(number for number in order if number in holders)
        if others and chosen not in preferred:
            text = f"{_escape(key)} holds other classes in {{{first}}} than in {{{others[0]}}}"
            conflicts.append(Conflict(tuple(holders), text))
        elif others and texts[chosen] != texts[first]:
            sources[key] = chosen
    return sources, conflicts


def _merge_names(
    tables: Sequence[Sequence[ArmName]], preferred: Sequence[int]
) -> tuple[list[ArmName], list[Conflict]]:
    """The names of arms of all folders; a conflict for each arm that has two."""
    by_arm: dict[tuple[Any, ...], dict[int, ArmName]] = {}
    for number, table in enumerate(tables):
        for each in table:
            by_arm.setdefault(each.key, {})[number] = each
    names, conflicts = [], []
    for held in by_arm.values():
        chosen = next((number for number in preferred if number in held), min(held))
        first = min(held)
        other = next((number for number in held if held[number].name != held[first].name), None)
        if other is not None and chosen not in preferred:
            text = (
                f"an arm is named {_quote(held[first].name)} in {{{first}}} and "
                f"{_quote(held[other].name)} in {{{other}}}"
            )
            conflicts.append(Conflict(tuple(held), text))
        names.append(held[chosen])
    return names, conflicts


def _size(folder: FolderContents, key: str) -> int:
    return folder.cell_files[key] if key in folder.cell_files else folder.shared_files[key]


def _describe_rows(
    folders: Sequence[FolderContents], merged: Merged, written: Sequence[Row]
) -> Iterator[str]:
    for number, folder in enumerate(folders):
        count = sum(number in origin for origin in merged.origins.values())
        replaced = len(folder.rows) - count
        text = f", {replaced:,} of them replaced by preferred ones" if replaced else ""
        yield f"{folder.store.name}: {len(folder.rows):,} rows{text}"
    yield f"together: {len(merged.origins):,} rows, {len(written):,} of them new"


def _describe_replaced(target: FolderContents, copies: Sequence[Copy]) -> Iterator[str]:
    """The files of the target in whose place others come."""
    present = {**target.cell_files, **target.shared_files}
    sizes = {copy.key: present[copy.key] for copy in copies if copy.key in present}
    for line in count_files(sizes):
        yield f"replaced by preferred ones: {line} of {target.store.name}"


def _describe_others(folders: Sequence[FolderContents], target: int | None) -> Iterator[str]:
    for number, folder in enumerate(folders):
        others = list_others(folder.store)
        if others and number != target:
            yield f"left where they are: {', '.join(others)} in {folder.store.name}"


def _identify(store: Store) -> str:
    """The same text for two ways to write one address."""
    return str(store.root.resolve()) if "://" not in store.address else store.address
