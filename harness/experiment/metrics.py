"""The metrics that a grid can declare comparisons in."""

from harness.errors import InputError

IWAE_SAMPLES = (10, 100, 1000)

BOUND_METRICS = ("nelbo", "kl", "rec", *(f"iwae_{k}" for k in IWAE_SAMPLES))

METRICS = (*BOUND_METRICS, "nll", "accuracy", *(f"subset_{name}" for name in BOUND_METRICS))

FRACTION_METRICS = ("accuracy",)  # told in per cent, stored as fractions

MAX_FRACTION_MARGIN = 0.2  # margin of a fraction: a wider one was meant in points


def check_margin(metric: str, margin: float) -> None:
    """Refuse a margin of a fraction that was given in points."""
    if metric in FRACTION_METRICS and margin >= MAX_FRACTION_MARGIN:
        raise InputError(
            f"margin {margin:g} of {metric}; expected less than {MAX_FRACTION_MARGIN}, in "
            f"fractions: 0.005 is "
            f"0.5 points"
        )
