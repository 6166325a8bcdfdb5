"""What the grid said about comparisons before its results were seen, read from the provenance of
its runs and the rows.

"Before" is only said where the records prove it: the first run's record is as old as the first
finished row. What a later record says otherwise was said when results were there; it is told and
does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import ValidationError

from analysis.stats.multiplicity import CORRECTIONS
from harness.errors import BadInput
from harness.experiment.grid import Compare

PLAIN = "every pair of arms, Holm"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Stated:
    """What is compared, and where that comes from, in words."""

    how: Compare
    said: str


def stated(provenance: Sequence[Record], rows: pd.DataFrame) -> Stated:
    """Provenance records, oldest first, and the results table -> what the first record says, and
    whether beforehand.
    """
    records = [record for record in provenance if isinstance(record.get("grid"), Mapping)]
    if not records:
        return Stated(
            Compare(), f"Default: {PLAIN}; not known whether stated before the results were seen."
        )
    names = list(dict.fromkeys(str(record["grid"].get("name")) for record in records))
    if len(names) > 1:
        told = (
            f"Several grids ran here ({', '.join(names)}), so none of them names the family; "
            f"default: {PLAIN}."
        )
        return Stated(Compare(), told)
    how = _of(records[0])
    finished = rows.loc[rows["status"] == "ok", "finished"].fillna("")
    return Stated(
        how,
        f"{_source(records[0], how, finished)}: {in_words(how)}{_changed(records, how, finished)}.",
    )


def _source(record: Record, how: Compare, finished: pd.Series) -> str:
    """Who names the family, and when: the record of the first run, the times at which finished rows
    were written.
    """
    grid = record["grid"].get("name")
    if not _given(record, how):
        return f"The grid {grid} names no comparison of its own; default"
    if _done(record, finished):
        return f"Named by the grid {grid}, not known whether before its results were seen"
    return f"Stated by the grid {grid} before its results were seen"


def _changed(records: Sequence[Record], how: Compare, finished: pd.Series) -> str:
    """What a later record says otherwise, and how many cells were done by then."""
    for record in records[1:]:
        if (later := _of(record)) != how:
            done = _done(record, finished)
            cells = "1 cell was done" if done == 1 else f"{done:,} cells were done"
            return f"; changed after {cells}, which does not count: {in_words(later)}"
    return ""


def _done(record: Record, finished: pd.Series) -> int:
    """How many rows may have been written before the run began: "" is a row that does not tell
    when.
    """
    return int((finished < str(record.get("started") or "~")).sum())


def _given(record: Record, how: Compare) -> bool:
    """Whether the grid named the comparison itself; an older record tells it only by differing from
    the default.
    """
    return bool(record.get("compare_given", how != Compare()))


def _of(record: Record) -> Compare:
    """What the grid of a run compares."""
    compare = record["grid"].get("compare")
    return Compare() if compare is None else _validated(compare)


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
            f"the provenance names no comparison: grid key 'compare.{where}'; expected that of a "
            f"grid"
        ) from None
