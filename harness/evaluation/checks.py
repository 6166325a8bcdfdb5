"""Checks that a score is finite and possible."""

import math

from torch import Tensor

KL_TOLERANCE = 1e-3  # nats


class InvalidScoreError(ValueError):
    """A score that no model of these images can have.

    The message names the score and what was expected.
    """


class NonFiniteError(InvalidScoreError):
    """A score that is nan or infinite: the training has diverged."""

    def __init__(self, name: str):
        super().__init__(f"not finite after training: {name}")


def check_kl(kl: Tensor) -> None:
    """Refuse a KL divergence, given per image (images,), whose mean is clearly below 0.

    "Clearly" means by more than four standard errors; InvalidScoreError.
    """
    noise = 4 * float(kl.std()) / len(kl) ** 0.5
    if float(kl.mean()) < -noise - KL_TOLERANCE:
        raise InvalidScoreError(
            f"kl is {float(kl.mean()):.6g} nats; expected a divergence, which is not below 0"
        )


def check_not_negative(name: str, mean: float) -> float:
    """The mean; InvalidScoreError if it is below 0, as discrete images have no density."""
    if mean < 0:
        raise InvalidScoreError(
            f"{name} is {mean:.6g} nats; expected at least 0, as images are discrete"
        )
    return check_finite(name, mean)


def check_finite(name: str, mean: float) -> float:
    """The mean; NonFiniteError if it is nan or infinite."""
    if not math.isfinite(mean):
        raise NonFiniteError(name)
    return mean
