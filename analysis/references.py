"""Published and measured figures, read from references.yaml, and the check that their parts add up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from analysis.metrics import BOUND, METRICS, Evaluation
from harness.grid import Setting, Supervision

FILE = Path(__file__).with_name("references.yaml")
Frozen = ConfigDict(extra="forbid", frozen=True)


def _as_printed(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"expected a figure in quotes, so that its decimals stay as printed; got {value!r}")
    return Decimal(value)


def _known(name: str) -> str:
    if name not in {metric.name for metric in METRICS}:
        raise ValueError(f"no metric {name!r}")
    return name


Printed = Annotated[Decimal, BeforeValidator(_as_printed)]
MetricName = Annotated[str, BeforeValidator(_known)]


class Figure(BaseModel):
    """A printed mean with its standard error, its standard deviation, both or neither."""

    model_config = Frozen
    mean: Printed
    se: Printed | None = None
    sd: Printed | None = None

    @property
    def spread(self) -> tuple[Decimal | None, Literal["SE", "SD"]]:
        """The ± to print: the standard error where there is one, else the standard deviation."""
        return (self.sd, "SD") if self.se is None and self.sd is not None else (self.se, "SE")


class Reference(BaseModel):
    """One printed row: figures of one model on one evaluation set, and who says so."""

    model_config = Frozen
    name: str
    source: str
    origin: Literal["published", "measured"]
    table: str
    evaluation: Evaluation
    model: str
    supervision: Supervision = "none"
    labels: int = 0
    n: Annotated[int, Field(gt=0)] | None
    figures: dict[MetricName, Figure]
    note: str = ""

    @model_validator(mode="after")
    def _one_run_has_no_spread(self) -> "Reference":
        if self.n == 1 and any(figure.spread[0] is not None for figure in self.figures.values()):
            raise ValueError(f"{self.name}, {self.table}: one run has no ±")
        return self


class Protocol(BaseModel):
    """An arm that a table speaks of: a model at β = 1 on MNIST, trained as the protocol says."""

    model_config = Frozen
    model: str
    settings: dict[str, Setting] = {}
    supervision: Supervision = "none"
    labels: int = 0
    beta: float = 1.0
    dataset: str = "mnist"
    batch_size: int = 97
    learning_rate: float = 1e-3


class Shown(BaseModel):
    """A table to print: the arms it speaks of, its metrics, and the evaluation sets, one table each."""

    model_config = Frozen
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    metrics: list[MetricName]
    evaluations: list[Evaluation]
    arms: list[Protocol]


class References(BaseModel):
    """All of references.yaml; `report_subset` is the checksum of the file that lists that set's images."""

    model_config = Frozen
    report_subset: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    tables: list[Shown]
    references: list[Reference]

    @model_validator(mode="after")
    def _every_reference_has_its_table(self) -> "References":
        places = {(table.name, evaluation) for table in self.tables for evaluation in table.evaluations}
        for reference in self.references:
            if (reference.table, reference.evaluation) not in places:
                raise ValueError(f"{reference.name}: no table {reference.table!r} on {reference.evaluation}")
        return self

    def of(self, table: str, evaluation: Evaluation) -> list[Reference]:
        """The references of one table on one evaluation set."""
        return [r for r in self.references if (r.table, r.evaluation) == (table, evaluation)]


def load(file: Path = FILE) -> References:
    """The references; a figure without its kind, set or source raises pydantic's ValidationError."""
    return References.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Parts:
    """Whether NELBO = KL + reconstruction holds for a printed row, in words a table can carry."""

    hold: bool
    text: str


def parts(figures: Mapping[str, Figure]) -> Parts | None:
    """Check a printed row, each figure to half a unit of its last decimal; None where it has no three parts.

    >>> row = {"nelbo": Figure(mean="99.06"), "kl": Figure(mean="17.18"), "rec": Figure(mean="81.25")}
    >>> parts(row).text
    'does not add up: 17.18 + 81.25 = 98.43, not 99.06; with two digits swapped, KL 17.81, it would'
    """
    if not set(BOUND) <= set(figures):
        return None
    nelbo, kl, rec = (figures[name].mean for name in BOUND)
    if adds_up(nelbo, kl, rec):
        return Parts(True, "adds up")
    swaps = [f"{name} {new}" for name, new in _swaps({"NELBO": nelbo, "KL": kl, "reconstruction": rec})]
    mended = f"with two digits swapped, {' or '.join(swaps)}, it would" if swaps else "no swap of two digits mends it"
    return Parts(False, f"does not add up: {kl} + {rec} = {kl + rec}, not {nelbo}; {mended}")


def adds_up(nelbo: Decimal, kl: Decimal, rec: Decimal) -> bool:
    """Whether NELBO = KL + reconstruction to rounding: half a unit of the last printed decimal of each of the three.

    >>> adds_up(Decimal("101.31"), Decimal("19.33"), Decimal("81.98"))
    True
    >>> adds_up(Decimal("101.5"), Decimal("19.29"), Decimal("82.57"))
    False
    """
    tolerance = sum(Decimal(1).scaleb(int(value.as_tuple().exponent)) / 2 for value in (nelbo, kl, rec))
    return abs(kl + rec - nelbo) <= tolerance


def _swaps(row: dict[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
    """Figures with two neighbouring digits swapped with which the row, NELBO, KL, reconstruction, would add up."""
    for name, value in row.items():
        for swapped in _swapped(str(value)):
            if adds_up(*(row | {name: swapped}).values()):
                yield name, swapped


def _swapped(printed: str) -> Iterator[Decimal]:
    places = [place for place, character in enumerate(printed) if character.isdigit()]
    for one, two in pairwise(places):
        digits = list(printed)
        digits[one], digits[two] = digits[two], digits[one]
        yield Decimal("".join(digits))
