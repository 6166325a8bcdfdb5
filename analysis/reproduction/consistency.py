"""Whether NELBO = KL + reconstruction holds for a printed row or for our means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from analysis.frames.metrics import BOUND_METRICS
from analysis.reproduction.references import PrintedValue
from harness.storage.schema import adds_up


@dataclass(frozen=True)
class SumCheck:
    """Whether the sum holds, and the text for a table."""

    holds: bool
    text: str


def check_sum(printed: Mapping[str, PrintedValue]) -> SumCheck | None:
    """Check a printed row to the rounding of its figures; None if one of the three is missing.

    Where the sum does not hold, the text names the swaps of two digits with which it would.

    >>> means = {"nelbo": "99.06", "kl": "17.18", "rec": "81.25"}
    >>> check_sum({name: PrintedValue(mean=mean) for name, mean in means.items()}).text
    'does not add up: 17.18 + 81.25 = 98.43, not 99.06; with two digits swapped, KL 17.81, it would'
    """
    if not set(BOUND_METRICS) <= set(printed):
        return None
    nelbo, kl, rec = (printed[name].mean for name in BOUND_METRICS)
    if adds_up_as_printed(nelbo, kl, rec):
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


def check_means(means: Mapping[str, float]) -> SumCheck | None:
    """Check the means of an arm of ours; None if one of the three is missing."""
    if not set(BOUND_METRICS) <= set(means):
        return None
    nelbo, kl, rec = (means[name] for name in BOUND_METRICS)
    if adds_up(nelbo, kl, rec):
        return SumCheck(True, "adds up")
    return SumCheck(False, f"does not add up: {kl + rec:.2f}, not {nelbo:.2f}")


def adds_up_as_printed(nelbo: Decimal, kl: Decimal, rec: Decimal) -> bool:
    """Whether NELBO = KL + reconstruction up to rounding.

    The tolerance is half a unit of the last printed decimal of each of the three.

    >>> adds_up_as_printed(Decimal("101.31"), Decimal("19.33"), Decimal("81.98"))
    True
    >>> adds_up_as_printed(Decimal("101.5"), Decimal("19.29"), Decimal("82.57"))
    False
    """
    tolerance = sum(
        Decimal(1).scaleb(int(value.as_tuple().exponent)) / 2 for value in (nelbo, kl, rec)
    )
    return abs(kl + rec - nelbo) <= tolerance


def _find_swaps(row: dict[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
    """Name and new value of each figure whose swap of two neighbouring digits mends the sum."""
    for name, value in row.items():
        for swapped in _swap_digits(str(value)):
            if adds_up_as_printed(*(row | {name: swapped}).values()):
                yield name, swapped


def _swap_digits(printed: str) -> Iterator[Decimal]:
    places = [place for place, character in enumerate(printed) if character.isdigit()]
    for one, two in pairwise(places):
        digits = list(printed)
        digits[one], digits[two] = digits[two], digits[one]
        yield Decimal("".join(digits))
