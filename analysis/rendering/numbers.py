"""Numbers as text: a mean with its ±, a p-value, a number with its decimals."""

import math
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
        return f"{_format_number(mean, digits)} ({runs}, no ±)"
    return f"{_format_number(mean, digits)} ± {_format_number(spread, digits)} ({kind}, {runs})"


def _format_number(value: Number, digits: int) -> str:
    return str(value) if isinstance(value, Decimal) else f"{value:.{digits}f}"


def format_number(value: float, decimals: int | None) -> str:
    """A number as it is printed; without decimals as short as it goes.

    >>> format_number(-2.345, 1), format_number(0.5, None), format_number(-0.01, 1)
    ('−2.3', '0.5', '0.0')
    """
    if math.isnan(value):
        return "–"
    printed = f"{value:.6g}" if decimals is None else f"{value:.{decimals}f}"
    return printed.lstrip("-") if float(printed) == 0 else printed.replace("-", "−")


def format_p(p: float) -> str:
    """A p-value as it is printed.

    >>> format_p(0.5234), format_p(0.00283), format_p(1.3e-8), format_p(0.0)
    ('p = 0.52', 'p = 0.0028', 'p = 1e-8', 'p < 1e-300')
    >>> format_p(0.0496), format_p(0.0504), format_p(0.05)
    ('p = 0.0496', 'p = 0.0504', 'p = 0.05')
    """
    if p < 1e-300:
        return "p < 1e-300"
    if p >= 1e-3:
        # as many as show on which side of .05 it lies
        near = (f"{p:.{digits}g}" for digits in range(2, 18))
        return f"p = {next(text for text in near if float(text) != ALPHA or p == ALPHA)}"
    mantissa, exponent = f"{p:.0e}".split("e")
    return f"p = {mantissa}e{int(exponent)}"
