"""The metrics that a grid can declare comparisons in."""

import re

from harness.errors import InputError
from harness.experiment.own_columns import OwnColumn

IWAE_SAMPLES = (10, 100, 1000)  # those with a column in every table

BOUND_METRICS = ("nelbo", "kl", "rec", *(f"iwae_{k}" for k in IWAE_SAMPLES))

VALIDATION_METRICS = ("validation_nelbo", "validation_accuracy")

METRICS = (
    *BOUND_METRICS,
    "nll",
    "accuracy",
    *VALIDATION_METRICS,
    *(f"subset_{name}" for name in BOUND_METRICS),
)

FRACTION_METRICS = ("accuracy", "validation_accuracy")  # printed in per cent, stored as fractions

MAX_FRACTION_MARGIN = 0.2  # a larger margin was probably meant in percentage points

_IWAE_COLUMN = re.compile(r"(subset_)?iwae_([1-9][0-9]{0,5})")


def check_margin(metric: str, margin: float) -> None:
    """Refuse a margin of a fraction that was probably given in percentage points."""
    if metric in FRACTION_METRICS and margin >= MAX_FRACTION_MARGIN:
        raise InputError(
            f"margin {margin:g} of {metric}; expected less than {MAX_FRACTION_MARGIN}, in "
            "fractions: 0.005 is 0.5 points"
        )


def count_draws(column: str) -> int | None:
    """The number of draws of a column with an IWAE bound, None for another column.

    >>> count_draws("iwae_50"), count_draws("subset_iwae_5"), count_draws("nelbo")
    (50, 5, None)
    """
    match = _IWAE_COLUMN.fullmatch(column)
    return int(match[2]) if match else None


def describe_iwae(column: str) -> OwnColumn | None:
    """What a column with an IWAE bound holds, None for another column."""
    draws = count_draws(column)
    image_set = "the listed images" if column.startswith("subset_") else "test images"
    meaning = f"importance-weighted bound of {draws} draws, {image_set}"
    return None if draws is None else OwnColumn("nats", "lower", meaning)


def is_bound(name: str) -> bool:
    """Whether a metric is a bound of log p(x) or a part of one; without the prefix of a subset."""
    return name in BOUND_METRICS or count_draws(name) is not None
