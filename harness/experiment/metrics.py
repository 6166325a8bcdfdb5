"""The metrics that a grid can declare comparisons in."""

from harness.errors import BadInput

IWAE_SAMPLES = (10, 100, 1000)

BOUNDS = ("nelbo", "kl", "rec", *(f"iwae_{k}" for k in IWAE_SAMPLES))

METRICS = (*BOUNDS, "nll", "accuracy", *(f"subset_{name}" for name in BOUNDS))

FRACTIONS = ("accuracy",)  # told in per cent, stored as fractions

WIDEST = 0.2  # margin of a fraction: a wider one was meant in points


def check_margin(metric: str, margin: float) -> None:
    """Refuse a margin of a fraction that was given in points."""
    if metric in FRACTIONS and margin >= WIDEST:
        raise BadInput(
            f"margin {margin:g} of {metric}; expected less than {WIDEST}, in fractions: 0.005 is "
            f"0.5 points"
        )
