"""Whether rows of different texts of one plug-in are, or will be, in one arm: its text is in no
cell's id.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from harness.experiment.cell import Cell
from harness.experiment.grid import names
from harness.plugins.source_files import Plugin
from harness.storage.schema import ARM, Row, describe

SHOWN = 8  # digits of a SHA-256
ARMS = 3  # arms that are named


def told(
    cells: Collection[Cell],
    fresh: Collection[Cell],
    rows: Iterable[Row],
    plugins: Mapping[str, Plugin | None],
) -> Iterator[str]:
    """A sentence on each model of `cells` that has finished rows of another text than it has now.

    `fresh` are the cells that will be trained, by the present text; `plugins` holds that, by the
    model's name.
    """
    replaced = {cell.id for cell in fresh}
    finished = [row for row in rows if row["status"] != "failed" and row["cell"] not in replaced]
    for model in sorted({cell.model for cell in cells}):
        plugin = plugins[model]
        now = None if plugin is None else plugin.sha256
        held = [row for row in finished if row["model"] == model]
        others = [row for row in held if row["source"] != now]
        if others:
            coming = [describe(cell) | {"source": now} for cell in fresh if cell.model == model]
            count = f"{len(others)} finished cell{'s are' if len(others) > 1 else ' is'}"
            yield (
                f"model '{model}': {count} of {_of(others, plugin)}; {_mixed([*held, *coming])}; "
                "--resume never computes all anew"
            )


def _of(others: Sequence[Row], plugin: Plugin | None) -> str:
    """Which texts these rows are of, and which is the present one.

    >>> _of([{"source": 64 * "a"}, {"source": None}], Plugin("mine.py", "file", {"mine.py": ""}))
    'another text of mine.py (aaaaaaaa, unknown, now e3b0c442)'
    """
    found = sorted({_short(row["source"]) for row in others})
    if plugin is None:
        return f"a plug-in ({', '.join(found)}), and the model is an installed one now"
    what = "an unknown text" if found == ["unknown"] else "another text"
    olds = "" if found == ["unknown"] else f"{', '.join(found)}, "
    return f"{what} of {plugin.name} ({olds}now {_short(plugin.sha256)})"


def _short(source: str | None) -> str:
    """The first digits of what trained a row, and of what scored it."""
    return "unknown" if source is None else "+".join(part[:SHOWN] for part in source.split(","))


def _mixed(rows: Iterable[Row]) -> str:
    """Which arms hold rows of more than one text."""
    texts: dict[Cell, set[str | None]] = {}
    for row in rows:
        texts.setdefault(_arm(row), set()).add(row["source"])
    called = names(texts)
    mixed = list(
        dict.fromkeys(
            called[arm].removesuffix(" seed=0") for arm, found in texts.items() if len(found) > 1
        )
    )
    if not mixed:
        return "no arm mixes them"
    more = f" and {len(mixed) - ARMS} more" if len(mixed) > ARMS else ""
    return f"rows of both are in one arm: {', '.join(mixed[:ARMS])}{more}"


def _arm(row: Row) -> Cell:
    """A row's arm, as its cell of seed 0."""
    settings = tuple(sorted(json.loads(row["settings"]).items()))
    return Cell(
        seed=0, settings=settings, **{name: row[name] for name in ARM if name != "settings"}
    )
