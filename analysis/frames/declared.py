"""The comparisons that a grid declared before its results were seen, read from provenance and rows.

"Before" is claimed only where the records prove it: the first run's record is older than the first
finished row. A different declaration of a later run is reported and does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import ValidationError

from analysis.stats.multiplicity import CORRECTION_NAMES
from harness.errors import InputError
from harness.experiment.grid import ComparisonSpec
from harness.experiment.search.spec import SEEDS_PER_STUDY

DEFAULT_COMPARISON = "every pair of arms, Holm"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class LookPlan:
    """The looks that a grid declared.

    seeds: all seeds in their order, or studies where these are compared
    looks: how many of them each look sees
    stop: the verdicts that settle a comparison, "better" (a difference) and "equivalent"
    """

    seeds: tuple[int, ...]
    looks: tuple[int, ...]
    stop: tuple[str, ...]

    def select(self, rows: pd.DataFrame, number: int) -> pd.DataFrame:
        """The rows that look `number`, from 0, sees."""
        return rows[_seeds_of_grid(rows).isin(self.seeds[: self.looks[number]])]

    def describe(self, was_reached: bool) -> str:
        """The looks in a sentence."""
        sizes = ", ".join(map(str, self.looks))
        stops = {"better": "a difference", "equivalent": "equivalence"}
        shown = " or ".join(stops.get(each, each) for each in self.stop)
        text = (
            f"Compared at the declared looks of {sizes}, each with its own bound of p; {shown} "
            "ends a comparison. Intervals hold at every look."
        )
        return text if was_reached else f"{text} The first look has not been reached."

    def has_reached(self, rows: pd.DataFrame, arms: Sequence[str], number: int) -> bool:
        """Whether every seed of a look has a row, good or not, in these arms."""
        expected = set(self.seeds[: self.looks[number]])
        counted = rows[rows["arm"].isin(list(arms))]
        seeds = _seeds_of_grid(counted).groupby(counted["arm"]).agg(set)
        return len(seeds) == len(set(arms)) and all(expected <= found for found in seeds)


def _seeds_of_grid(rows: pd.DataFrame) -> "pd.Series[int]":
    """The seeds as the grid numbers them: a study trains with seeds of its own."""
    is_final = rows["stage"] == "final"
    return rows["seed"].mask(is_final, rows["seed"] % SEEDS_PER_STUDY)


@dataclass(frozen=True)
class Declaration:
    """What is compared, at which looks if any, and a text that says where this comes from."""

    spec: ComparisonSpec
    text: str
    plan: LookPlan | None = None


def read_declaration(provenance: Sequence[Record], rows: pd.DataFrame) -> Declaration:
    """Provenance records, oldest first, and the results table -> what the first record declares.

    Raises `InputError` if that record holds no valid comparison.
    """
    records = [record for record in provenance if isinstance(record.get("grid"), Mapping)]
    if not records:
        return Declaration(
            ComparisonSpec(),
            f"Default: {DEFAULT_COMPARISON}; not known whether stated before the results were "
            f"seen.",
        )
    names = list(dict.fromkeys(str(record["grid"].get("name")) for record in records))
    if len(names) > 1:
        text = (
            f"Several grids ran here ({', '.join(names)}), so none of them names the family; "
            f"default: {DEFAULT_COMPARISON}."
        )
        return Declaration(ComparisonSpec(), text)
    declared = _read_comparison(records[0])
    finished = rows.loc[rows["status"] == "ok", "finished"].fillna("")
    return Declaration(
        declared,
        f"{_describe_source(records[0], declared, finished)}: "
        f"{describe_comparison(declared)}{_describe_change(records, declared, finished)}.",
        read_looks(records[0]["grid"]),
    )


def read_looks(grid: Mapping[str, Any]) -> LookPlan | None:
    """The looks that a grid declares; None if it declares none."""
    looks, seeds = grid.get("looks"), grid.get("seeds")
    if not looks or not isinstance(seeds, list):
        return None
    search, compare = grid.get("search") or {}, grid.get("compare") or {}
    if compare.get("unit") == "study":
        seeds = list(range(int(search["studies"])))
    return LookPlan(tuple(seeds), tuple(looks), tuple(grid.get("stop") or ("better",)))


def _describe_source(record: Record, declared: ComparisonSpec, finished: pd.Series) -> str:
    """Which grid declared the family, and whether it did so before the first finished row."""
    grid = record["grid"].get("name")
    if not _is_explicit(record, declared):
        return f"The grid {grid} names no comparison of its own; default"
    if _count_finished_before(record, finished):
        return f"Named by the grid {grid}, not known whether before its results were seen"
    return f"Stated by the grid {grid} before its results were seen"


def _describe_change(
    records: Sequence[Record], declared: ComparisonSpec, finished: pd.Series
) -> str:
    """The first different declaration of a later record, and how many cells were done by then."""
    for record in records[1:]:
        if (later := _read_comparison(record)) != declared:
            done = _count_finished_before(record, finished)
            cells = "1 cell was done" if done == 1 else f"{done:,} cells were done"
            return f"; changed after {cells}, which does not count: {describe_comparison(later)}"
    return ""


def _count_finished_before(record: Record, finished: pd.Series) -> int:
    """How many rows may be older than the run; a row without a time ("") may be."""
    return int((finished < str(record.get("started") or "~")).sum())


def _is_explicit(record: Record, declared: ComparisonSpec) -> bool:
    """Whether the grid names the comparison; of older records: whether it is not the default."""
    return bool(record.get("compare_given", declared != ComparisonSpec()))


def _read_comparison(record: Record) -> ComparisonSpec:
    """The comparison that the grid of a run declares."""
    compare = record["grid"].get("compare")
    return ComparisonSpec() if compare is None else _validate(compare)


def describe_comparison(declared: ComparisonSpec) -> str:
    """Word what is compared with what.

    >>> spec = ComparisonSpec(metrics=["nelbo"], baseline={"beta": 1.0}, margin={"nelbo": 0.5})
    >>> describe_comparison(spec)
    'every arm against beta=1.0, on nelbo, Holm; equivalence within 0.5 (nelbo)'
    """
    against = ", ".join(f"{name}={value}" for name, value in declared.baseline.items())
    family = f"every arm against {against}" if against else "every pair of arms"
    correction = CORRECTION_NAMES[declared.correction]
    margins = ", ".join(f"{margin:g} ({name})" for name, margin in declared.margin.items())
    return f"{family}, on {', '.join(declared.metrics)}, {correction}" + (
        f"; equivalence within {margins}" if margins else ""
    )


def _validate(compare: Any) -> ComparisonSpec:
    try:
        return ComparisonSpec.model_validate(compare, context={"metrics": None})
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(
            f"the provenance names no comparison: grid key 'compare.{where}'; "
            "expected that of a grid"
        ) from None
