"""Whether rows of different texts of one plug-in are, or will be, in one arm: its text is in no
cell's id.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from harness.experiment.cell import Cell
from harness.experiment.grid import name_cells
from harness.plugins.source_files import Plugin
from harness.storage.schema import ARM_COLUMNS, PAIR_COLUMNS, Row, describe_cell

HASH_DIGITS = 8  # digits of a SHA-256
MAX_ARMS = 3  # arms that are named


def describe_source_changes(
    cells: Collection[Cell],
    to_train: Collection[Cell],
    rows: Iterable[Row],
    plugins: Mapping[str, Plugin | None],
) -> Iterator[str]:
    """A sentence on each model of `cells` that has finished rows of another text than it has now.

    `to_train` are the cells that will be trained, by the present text; `plugins` holds that, by the
    model's name.
    """
    replaced = {cell.id for cell in to_train}
    finished = [row for row in rows if row["status"] != "failed" and row["cell"] not in replaced]
    for model in sorted({cell.model for cell in cells}):
        plugin = plugins[model]
        current_source = None if plugin is None else plugin.sha256
        model_rows = [row for row in finished if row["model"] == model]
        other_rows = [row for row in model_rows if row["source"] != current_source]
        if other_rows:
            upcoming = [
                describe_cell(cell) | {"source": current_source}
                for cell in to_train
                if cell.model == model
            ]
            count = f"{len(other_rows)} finished cell{'s are' if len(other_rows) > 1 else ' is'}"
            yield (
                f"model '{model}': {count} of {_describe_sources(other_rows, plugin)}; "
                f"{_describe_mixed_arms([*model_rows, *upcoming])}; "
                "--resume never computes all anew"
            )


def _describe_sources(others: Sequence[Row], plugin: Plugin | None) -> str:
    """Which texts these rows are of, and which is the present one.

    >>> mine = Plugin("mine.py", "file", {"mine.py": ""})
    >>> _describe_sources([{"source": 64 * "a"}, {"source": None}], mine)
    'another text of mine.py (aaaaaaaa, unknown, now e3b0c442)'
    """
    sources = sorted({_short_hash(row["source"]) for row in others})
    if plugin is None:
        return f"a plug-in ({', '.join(sources)}), and the model is an installed one now"
    label = "an unknown text" if sources == ["unknown"] else "another text"
    olds = "" if sources == ["unknown"] else f"{', '.join(sources)}, "
    return f"{label} of {plugin.name} ({olds}now {_short_hash(plugin.sha256)})"


def _short_hash(source: str | None) -> str:
    """The first digits of what trained a row, and of what scored it."""
    return (
        "unknown" if source is None else "+".join(part[:HASH_DIGITS] for part in source.split(","))
    )


def _describe_mixed_arms(rows: Iterable[Row]) -> str:
    """Which arms hold rows of more than one text."""
    sources_by_arm: dict[Cell, set[str | None]] = {}
    for row in rows:
        sources_by_arm.setdefault(_arm_of(row), set()).add(row["source"])
    arm_names = name_cells(sources_by_arm)
    mixed = list(
        dict.fromkeys(
            arm_names[arm].removesuffix(" seed=0")
            for arm, sources in sources_by_arm.items()
            if len(sources) > 1
        )
    )
    if not mixed:
        return "no arm mixes them"
    more = f" and {len(mixed) - MAX_ARMS} more" if len(mixed) > MAX_ARMS else ""
    return f"rows of both are in one arm: {', '.join(mixed[:MAX_ARMS])}{more}"


def _arm_of(row: Row) -> Cell:
    """A row's arm, as its cell of seed 0."""
    pairs = {name: tuple(sorted(json.loads(row[name]).items())) for name in PAIR_COLUMNS}
    return Cell(seed=0, **{name: row[name] for name in ARM_COLUMNS} | pairs)
