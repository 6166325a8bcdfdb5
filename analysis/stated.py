"""What the grid said about comparisons before its results were seen, read from the provenance of its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from analysis.verdict import CORRECTIONS
from harness.errors import BadInput
from harness.grid import Compare

PLAIN = "every pair of arms, Holm"


@dataclass(frozen=True)
class Stated:
    """What is compared, and where that comes from, in words."""

    how: Compare
    said: str


def stated(provenance: Sequence[Mapping[str, Any]]) -> Stated:
    """Provenance records, oldest first -> what the newest says, unless several grids wrote into one folder."""
    grids = [record["grid"] for record in provenance if isinstance(record.get("grid"), Mapping)]
    names = list(dict.fromkeys(str(grid.get("name")) for grid in grids))
    if len(names) > 1:
        return Stated(
            Compare(), f"Several grids ran here ({', '.join(names)}), so none of them names the family: {PLAIN}."
        )
    if not grids or "compare" not in grids[-1]:
        return Stated(Compare(), f"No grid stated beforehand what is compared: {PLAIN}.")
    how = _validated(grids[-1]["compare"])
    return Stated(how, f"Stated by the grid {names[0]} before its results were seen: {in_words(how)}.")


def in_words(how: Compare) -> str:
    """What is compared with what.

    >>> in_words(Compare(metrics=["nelbo"], baseline={"beta": 1.0}, margin={"nelbo": 0.5}))
    'every arm against beta=1.0, on nelbo, Holm; equivalence within 0.5 (nelbo)'
    """
    against = ", ".join(f"{name}={value}" for name, value in how.baseline.items())
    family = f"every arm against {against}" if against else "every pair of arms"
    correction = CORRECTIONS[how.correction]
    margins = ", ".join(f"{margin:g} ({name})" for name, margin in how.margin.items())
    return f"{family}, on {', '.join(how.metrics)}, {correction}" + (
        f"; equivalence within {margins}" if margins else ""
    )


def _validated(compare: Any) -> Compare:
    try:
        return Compare.model_validate(compare)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise BadInput(
            f"the provenance names no comparison: grid key 'compare.{where}'; expected that of a grid"
        ) from None
