"""What `--check` prints: every check of every model of a plug-in, or of a model by name."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.deprecation import describe_old_imports
from harness.training.conformance.contract import run_checks


def print_report(names: Sequence[str]) -> int:
    """Print the result of every check of these models; 1 if one fails, else 0."""
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
