"""What `--check FILE` prints: every check of every model of a plug-in."""

import sys
from collections.abc import Iterator
from typing import Any

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.deprecation import describe_old_imports
from harness.plugins.source_files import Plugin
from harness.training.conformance.contract import run_checks


def print_report(plugin: Plugin) -> int:
    """Print the result of every check for every model of a plug-in; 1 if one fails, else 0."""
    names = [name for name in registry.cards() if registry.find_plugin(name) == plugin]
    if not names:
        raise InputError(
            f"{plugin.name!r} registers no model; expected a class under @register(NAME)"
        )
    for line in describe_old_imports(names):
        print(line, file=sys.stderr)
    violations = 0
    for cell in (cell for name in names for cell in _default_cells(name)):
        print(f"{cell.model} {cell.supervision if cell.supervision != 'none' else ''}".rstrip())
        for promise, fault in run_checks(cell):
            violations += fault is not None
            print(
                f"  {'ok' if fault is None else 'NO'}  {promise}"
                + (f" It {fault}." if fault else "")
            )
    print(f"{len(names)} models checked, {violations} promises not kept")
    return 1 if violations else 0


def _default_cells(name: str) -> Iterator[Cell]:
    """One cell for each supervision of a model, with its default settings."""
    card = registry.cards()[name]
    settings = tuple(card.default_settings.items())
    for supervision in card.supervisions:
        label_settings: dict[str, Any] = (
            {} if supervision == "none" else {"labels": 100, "label_draw": "seed"}
        )
        yield Cell(
            name, 0, card.iterations, settings=settings, supervision=supervision, **label_settings
        )
