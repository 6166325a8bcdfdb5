"""The space of a search: named axes, and the points that studies draw from them.

A point is a pure function of study and trial, so a search that is resumed or extended repeats and
skips nothing. Each axis has its own draws: one more axis changes nothing on the others, and axes
that two models share have the same values for both.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.errors import short_repr
from harness.experiment.cell import Setting

SIGNIFICANT_DIGITS = 4  # of a drawn number: rows and ids stay readable
AXIS_KINDS = ("log", "linear", "integer", "log_integer", "choices")
GROUPS = ("settings", "recipe", "term_weights")

Point = Mapping[str, Setting]  # by the name of an axis, such as `learning_rate` or `settings.z`


def uniform(study: int, trial: int, axis: str) -> float:
    """A number in [0, 1) for a trial of a study on an axis.

    >>> uniform(0, 3, "learning_rate") == uniform(0, 3, "learning_rate")
    True
    """
    digest = hashlib.sha256(f"{study}/search {axis}/{trial}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class Axis(BaseModel):
    """One axis: two bounds, both included, or a list of choices.

    In a grid it is `{log: [1e-4, 1e-2]}`, `{linear: [0, 1]}`, `{integer: [2, 40]}`,
    `{log_integer: [16, 256]}` or a plain list of choices.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    kind: Literal["log", "linear", "integer", "log_integer", "choices"]
    values: Annotated[list[Setting], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"kind": "choices", "values": value}
        if isinstance(value, Mapping) and len(value) == 1:
            ((kind, bounds),) = value.items()
            if kind in AXIS_KINDS:
                return {"kind": kind, "values": bounds}
        if isinstance(value, Mapping) and set(value) == {"kind", "values"}:
            return value
        raise ValueError(
            f"expected a list of choices or one of {', '.join(AXIS_KINDS[:-1])} with two bounds, "
            f"such as {{log: [1e-4, 1e-2]}}, got {short_repr(value)}"
        )

    @model_validator(mode="after")
    def _check(self) -> "Axis":
        if self.kind == "choices":
            if len(set(map(repr, self.values))) < len(self.values):
                raise ValueError(f"expected different choices, got {short_repr(self.values)}")
            return self
        numbers = [v for v in self.values if not isinstance(v, (bool, str))]
        if len(numbers) != 2 or len(self.values) != 2 or not all(map(math.isfinite, numbers)):
            raise ValueError(f"{self.kind}: expected two numbers, got {short_repr(self.values)}")
        low, high = numbers
        if not low < high:
            raise ValueError(f"{self.kind}: expected a lower bound first, got {self.values}")
        if self.kind.startswith("log") and low <= 0:
            raise ValueError(f"{self.kind}: expected bounds above 0, got {self.values}")
        if "integer" in self.kind and not all(isinstance(v, int) for v in numbers):
            raise ValueError(f"{self.kind}: expected two integers, got {self.values}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The two bounds of an axis of numbers."""
        low, high = self.values
        assert not isinstance(low, str)
        assert not isinstance(high, str)
        return low, high

    def draw(self, u: float) -> Setting:
        """The value at quantile `u`, in [0, 1): the inverse of the distribution function.

        >>> Axis(kind="log", values=[1e-4, 1e-2]).draw(0.5)
        0.001
        >>> [Axis(kind="integer", values=[2, 4]).draw(u) for u in (0.0, 0.5, 0.99)]
        [2, 3, 4]
        """
        if self.kind == "choices":
            return self.values[int(u * len(self.values))]
        low, high = self.bounds
        if self.kind == "integer":
            return int(low) + int(u * (high - low + 1))
        if self.kind == "log_integer":
            drawn = math.exp(math.log(low) + u * (math.log(high + 1) - math.log(low)))
            return max(int(low), min(int(drawn), int(high)))  # rounding must not leave the bounds
        if self.kind == "log":
            drawn = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
            return round_within(drawn, low, high)
        return round_within(low + u * (high - low), low, high)


def round_within(value: float, low: float, high: float) -> float:
    """A number to four significant digits, within bounds.

    >>> round_within(0.00123456, 1e-4, 1e-2)
    0.001235
    """
    return min(max(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), float(low)), float(high))


class Space(BaseModel):
    """The axes of a search, under the keys that a sweep has for their values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    learning_rate: Axis | None = None
    batch_size: Axis | None = None
    beta: Axis | None = None
    settings: dict[str, Axis] = {}
    recipe: dict[str, Axis] = {}
    term_weights: dict[str, Axis] = {}

    @property
    def axes(self) -> dict[str, Axis]:
        """All axes by name, sorted: `learning_rate`, `settings.z`."""
        return dict(sorted(self._list_axes()))

    def _list_axes(self) -> Iterator[tuple[str, Axis]]:
        for key in ("learning_rate", "batch_size", "beta"):
            axis = getattr(self, key)
            if axis is not None:
                yield key, axis
        for group in GROUPS:
            for name, axis in getattr(self, group).items():
                yield f"{group}.{name}", axis

    def lay_over(self, other: "Space") -> "Space":
        """This space with the axes of another in place of its own of the same name."""
        values: dict[str, Any] = {
            key: getattr(other, key) or getattr(self, key)
            for key in ("learning_rate", "batch_size", "beta")
        }
        groups = {group: getattr(self, group) | getattr(other, group) for group in GROUPS}
        return Space(**values, **groups)

    def draw(self, study: int, trial: int) -> dict[str, Setting]:
        """The point of a trial of a study.

        >>> space = Space(learning_rate={"log": [1e-4, 1e-2]})
        >>> space.draw(0, 1) == space.draw(0, 1) != space.draw(1, 1)
        True
        """
        return {name: axis.draw(uniform(study, trial, name)) for name, axis in self.axes.items()}
