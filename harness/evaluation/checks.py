"""What a score must be: finite, and within what its kind can be."""

import math

from torch import Tensor

KL_TOLERANCE = 1e-3  # nats


class InvalidScoreError(ValueError):
    """A score that no model can have on binary images; the message says which, and what was
    expected.
    """


class NonFiniteError(InvalidScoreError):
    """A score that is no number: the training has diverged."""

    def __init__(self, name: str):
        super().__init__(f"not finite after training: {name}")


def check_kl(kl: Tensor) -> None:
    """Refuse a KL (images,) whose mean is below 0 by more than four standard errors: it would be no
    divergence.
    """
    noise = 4 * float(kl.std()) / len(kl) ** 0.5
    if float(kl.mean()) < -noise - KL_TOLERANCE:
        raise InvalidScoreError(
            f"kl is {float(kl.mean()):.6g} nats; expected a divergence, which is not below 0"
        )


def check_not_negative(name: str, mean: float) -> float:
    """The mean, refused where it is below 0: binary images have no density."""
    if mean < 0:
        raise InvalidScoreError(
            f"{name} is {mean:.6g} nats; expected at least 0, as images are binary"
        )
    return check_finite(name, mean)


def check_finite(name: str, mean: float) -> float:
    """The mean, refused where it is no number."""
    if not math.isfinite(mean):
        raise NonFiniteError(name)
    return mean
