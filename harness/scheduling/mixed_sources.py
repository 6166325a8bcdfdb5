"""Warnings where one arm has, or will have, rows of several versions of a plug-in.

The source of a plug-in is not part of a cell's id.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.experiment.cell import Cell
from harness.experiment.grid import name_cells
from harness.plugins.source_files import Plugin
from harness.storage.schema import Row, cell_of, describe_cell

HASH_DIGITS = 8  # digits of a SHA-256
MAX_ARMS = 3  # arms that are named


def describe_source_changes(
    cells: Collection[Cell],
    to_train: Collection[Cell],
    rows: Iterable[Row],
    plugins: Mapping[str, Plugin | None],
) -> Iterator[str]:
    """A sentence on each model of `cells` whose finished rows used another version of its plug-in.

    `to_train` are the cells that will be trained with the present version; `plugins` holds that, by
    the model's name.
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
            count = f"{len(other_rows)} finished cell{'s' if len(other_rows) > 1 else ''}"
            yield (
                f"model '{model}': {count} used {_describe_sources(other_rows, plugin)}; "
                f"{_describe_mixed_arms([*model_rows, *upcoming])}; "
                "--resume never runs all cells again"
            )


def _describe_sources(others: Sequence[Row], plugin: Plugin | None) -> str:
    """The versions that these rows used, and the present one.

    >>> mine = Plugin("mine.py", "file", {"mine.py": ""})
    >>> _describe_sources([{"source": 64 * "a"}, {"source": None}], mine)
    'another version of mine.py (aaaaaaaa, unknown, now e3b0c442)'
    """
    sources = sorted({_short_hash(row["source"]) for row in others})
    if plugin is None:
        return f"a plug-in ({', '.join(sources)}), but the model is installed now"
    label = "an unknown version" if sources == ["unknown"] else "another version"
    olds = "" if sources == ["unknown"] else f"{', '.join(sources)}, "
    return f"{label} of {plugin.name} ({olds}now {_short_hash(plugin.sha256)})"


def _short_hash(source: str | None) -> str:
    """The first digits of the hash that trained a row, and of the one that scored it."""
    return (
        "unknown" if source is None else "+".join(part[:HASH_DIGITS] for part in source.split(","))
    )


def _describe_mixed_arms(rows: Iterable[Row]) -> str:
    """Name the arms that have rows of several versions."""
    sources_by_arm: dict[Cell, set[str | None]] = {}
    for row in rows:
        sources_by_arm.setdefault(replace(cell_of(row), seed=0), set()).add(row["source"])
    arm_names = name_cells(sources_by_arm)
    mixed = list(
        dict.fromkeys(
            arm_names[arm].removesuffix(" seed=0")
            for arm, sources in sources_by_arm.items()
            if len(sources) > 1
        )
    )
    if not mixed:
        return "no arm mixes versions"
    more = f" and {len(mixed) - MAX_ARMS} more" if len(mixed) > MAX_ARMS else ""
    return f"arms that mix versions: {', '.join(mixed[:MAX_ARMS])}{more}"
