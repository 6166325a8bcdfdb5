"""The metrics that a grid can declare comparisons in."""

from harness.errors import InputError

IWAE_SAMPLES = (10, 100, 1000)

BOUND_METRICS = ("nelbo", "kl", "rec", *(f"iwae_{k}" for k in IWAE_SAMPLES))

METRICS = (*BOUND_METRICS, "nll", "accuracy", *(f"subset_{name}" for name in BOUND_METRICS))

FRACTION_METRICS = ("accuracy",)  # printed in per cent, stored as fractions

MAX_FRACTION_MARGIN = 0.2  # a larger margin was probably meant in percentage points


def check_margin(metric: str, margin: float) -> None:
    """Refuse a margin of a fraction that was probably given in percentage points."""
    if metric in FRACTION_METRICS and margin >= MAX_FRACTION_MARGIN:
        raise InputError(
            f"margin {margin:g} of {metric}; expected less than {MAX_FRACTION_MARGIN}, in "
            "fractions: 0.005 is 0.5 points"
        )
