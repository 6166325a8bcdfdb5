"""The whole contract, and what is checked of every kind of cell before the first step.

Every kind of cell runs `PROBE_CHECKS` at the start of a run: a step and a call of every score, on
two images. `CHECKS` is the whole contract; `--check FILE` and the project's tests run it.
"""

from collections.abc import Callable, Iterable, Iterator

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.model import CLASSES
from harness.training.conformance.faults import ContractError, convert_errors
from harness.training.conformance.score_checks import (
    check_average_weight,
    check_bound,
    check_class_samples,
    check_classes,
    check_reconstructions,
    check_samples,
    check_weights,
)
from harness.training.conformance.step_checks import (
    check_images_alone,
    check_purity,
    check_seed,
    check_stacking,
    check_start,
    check_terms,
)
from harness.training.conformance.subject import Subject

Check = Callable[[Subject], None]

PROBE_CHECKS: tuple[Check, ...] = (
    check_terms,
    check_start,
    check_purity,
    check_stacking,
    check_bound,
    check_samples,
    check_class_samples,
    check_reconstructions,
    check_classes,
)
CHECKS: tuple[Check, ...] = (
    *PROBE_CHECKS,
    check_weights,
    check_average_weight,
    check_images_alone,
    check_seed,
)


def find_violation(cell: Cell, importance_weights: bool) -> str | None:
    """Why a kind of cell cannot be trained and scored, in a sentence; None if it can.

    InputError if the model refuses its settings.
    """
    subject = Subject(cell, labels=max(1, registry.data_spec(cell.dataset).classes))
    checks = (*PROBE_CHECKS, check_weights) if importance_weights else PROBE_CHECKS
    try:
        for check in checks:
            with registry.isolate_model(cell.model), convert_errors("a step"):
                check(subject)
    except ContractError as error:
        return f"model '{cell.model}' {error}"
    return None


def refuse_missing_classes(cells: Iterable[Cell]) -> None:
    """InputError for a cell that needs classes of a data set without them."""
    for cell in cells:
        needs_classes = cell.supervision != "none" or registry.lookup(cell.model).uses_classes
        if needs_classes and not registry.data_spec(cell.dataset).classes:
            raise InputError(
                f"model '{cell.model}' needs classes, and data set '{cell.dataset}' has none; "
                "expected a data set with classes"
            )


def run_checks(cell: Cell) -> Iterator[tuple[str, str | None]]:
    """The first line of each check's docstring, and what is wrong, or None."""
    subject = Subject(cell, images=6, labels=2 * CLASSES)
    for check in CHECKS:
        try:
            with registry.isolate_model(cell.model), convert_errors("a step"):
                check(subject)
            fault = None
        except (ContractError, InputError) as error:
            fault = str(error)
        yield (check.__doc__ or "").splitlines()[0], fault
        if fault and check is check_terms:
            return  # the other checks need the terms
