"""Whether NELBO = KL + reconstruction holds for a printed row, and which swap of two digits would
mend it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from analysis.frames.metrics import BOUND_METRICS
from analysis.reproduction.references import PrintedValue


@dataclass(frozen=True)
class SumCheck:
    """Whether the sum holds, in words a table can carry."""

    holds: bool
    text: str


def check_sum(printed: Mapping[str, PrintedValue]) -> SumCheck | None:
    """Check a printed row, each figure to half a unit of its last decimal; None where it has no
    three parts.

    >>> row = {"nelbo": PrintedValue(mean="99.06"), "kl": PrintedValue(mean="17.18"), "rec": PrintedValue(mean="81.25")}
    >>> check_sum(row).text
    'does not add up: 17.18 + 81.25 = 98.43, not 99.06; with two digits swapped, KL 17.81, it would'
    """
    if not set(BOUND_METRICS) <= set(printed):
        return None
    nelbo, kl, rec = (printed[name].mean for name in BOUND_METRICS)
    if adds_up(nelbo, kl, rec):
        return SumCheck(True, "adds up")
    swaps = [
        f"{name} {new}"
        for name, new in _find_swaps({"NELBO": nelbo, "KL": kl, "reconstruction": rec})
    ]
    remedy = (
        f"with two digits swapped, {' or '.join(swaps)}, it would"
        if swaps
        else "no swap of two digits mends it"
    )
    return SumCheck(False, f"does not add up: {kl} + {rec} = {kl + rec}, not {nelbo}; {remedy}")


def adds_up(nelbo: Decimal, kl: Decimal, rec: Decimal) -> bool:
    """Whether NELBO = KL + reconstruction to rounding: half a unit of the last printed decimal of
    each of the three.

    >>> adds_up(Decimal("101.31"), Decimal("19.33"), Decimal("81.98"))
    True
    >>> adds_up(Decimal("101.5"), Decimal("19.29"), Decimal("82.57"))
    False
    """
    tolerance = sum(
        Decimal(1).scaleb(int(value.as_tuple().exponent)) / 2 for value in (nelbo, kl, rec)
    )
    return abs(kl + rec - nelbo) <= tolerance


def _find_swaps(row: dict[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
    """Figures with two neighbouring digits swapped with which the row, NELBO, KL, reconstruction,
    would add up.
    """
    for name, value in row.items():
        for swapped in _swap_digits(str(value)):
            if adds_up(*(row | {name: swapped}).values()):
                yield name, swapped


def _swap_digits(printed: str) -> Iterator[Decimal]:
    places = [place for place, character in enumerate(printed) if character.isdigit()]
    for one, two in pairwise(places):
        digits = list(printed)
        digits[one], digits[two] = digits[two], digits[one]
        yield Decimal("".join(digits))
