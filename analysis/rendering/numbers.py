"""Numbers as text: means with their ±, intervals, p-values, numbers with their decimals."""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from analysis.stats.thresholds import ALPHA

SpreadKind = Literal["SD", "SE"]

Number = float | Decimal


def format_estimate(
    mean: Number, spread: Number | None, kind: SpreadKind, n: int | None, digits: int = 2
) -> str:
    """A mean with its ±, always with the kind of ± and n; a Decimal keeps the decimals it was
    printed with.

    >>> format_estimate(101.312, 0.0795, "SE", 10)
    '101.31 ± 0.08 (SE, n = 10)'
    >>> format_estimate(101.312, float("nan"), "SE", 1)
    '101.31 (n = 1, no ±)'
    >>> format_estimate(Decimal("101.5"), Decimal("0.55"), "SD", 100)
    '101.5 ± 0.55 (SD, n = 100)'
    """
    if math.isnan(mean):
        return "–"
    runs = "n not stated" if n is None else f"n = {n}"
    if spread is None or math.isnan(spread):
        return f"{format_number(mean, digits)} ({runs}, no ±)"
    return f"{format_number(mean, digits)} ± {format_number(spread, digits)} ({kind}, {runs})"


def format_number(value: Number, decimals: int | None) -> str:
    """A number with so many decimals, with six significant digits if None; a dash for nan.

    A Decimal keeps the decimals it was printed with.

    >>> format_number(-2.345, 1), format_number(0.5, None), format_number(-0.01, 1)
    ('−2.3', '0.5', '0.0')
    """
    if math.isnan(value):
        return "–"
    if isinstance(value, Decimal):
        printed = str(value)
    else:
        printed = f"{value:.6g}" if decimals is None else f"{value:.{decimals}f}"
    return printed.lstrip("-") if float(printed) == 0 else printed.replace("-", "−")


def choose_decimals(values: Iterable[float]) -> int:
    """Decimals that show three digits of the largest of these values, at least two.

    >>> choose_decimals([99.06, 3.2]), choose_decimals([0.512]), choose_decimals([0.00123])
    (2, 3, 5)
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return min(8, max(2, 2 - math.floor(math.log10(largest)))) if largest else 2


def format_interval(low: float, high: float, decimals: int = 2) -> str:
    """An interval in brackets; a dash where there is none (nan).

    >>> format_interval(-1.5, 2.25), format_interval(float("nan"), float("nan"))
    ('[−1.50, 2.25]', '–')
    """
    if math.isnan(low):
        return "–"
    return f"[{format_number(low, decimals)}, {format_number(high, decimals)}]"


def format_p(p: float) -> str:
    """A p-value in a sentence: `p = 0.52`.

    >>> format_p(0.5234), format_p(1.3e-8), format_p(0.0)
    ('p = 0.52', 'p = 1e-8', 'p < 1e-300')
    """
    printed = format_p_cell(p)
    return f"p {printed}" if printed.startswith("<") else f"p = {printed}"


def format_p_cell(p: float) -> str:
    """A p-value in a column of p-values; a dash for nan.

    A value near .05 has as many digits as show on which side of .05 it is.

    >>> format_p_cell(0.5234), format_p_cell(0.00283), format_p_cell(1.3e-8), format_p_cell(0.0)
    ('0.52', '0.0028', '1e-8', '< 1e-300')
    >>> format_p_cell(0.0496), format_p_cell(0.0504), format_p_cell(0.05)
    ('0.0496', '0.0504', '0.05')
    """
    if math.isnan(p):
        return "–"
    if p < 1e-300:
        return "< 1e-300"
    if p >= 1e-3:
        candidates = (f"{p:.{digits}g}" for digits in range(2, 18))
        return next(text for text in candidates if float(text) != ALPHA or p == ALPHA)
    mantissa, exponent = f"{p:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
