"""What a step of a pack costs, and how large a pack must be to be worth its start."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.experiment.cell import Cell


@dataclass(frozen=True)
class Cost:
    """Seconds that a step of a pack takes: `fixed` + `each` · cells; and that the scoring of a cell
    takes.
    """

    fixed: float
    each: float
    score: float = 0.0

    def step(self, cells: int) -> float:
        """Seconds of a step of a pack of so many cells.

        >>> Cost(fixed=0.002, each=0.005).step(8)
        0.042
        """
        return self.fixed + self.each * cells

    def saturated(self, most: int) -> int:
        """The size, at most `most`, from which a larger pack gains little.

        >>> Cost(fixed=0.002, each=0.005).saturated(64), Cost(0.0, 0.04).saturated(64), Cost(0.001, 0.0).saturated(64)
        (4, 1, 64)
        """
        return next(
            (size for size in range(1, most) if self.fixed <= GAIN * self.each * size), most
        )


Costs = Mapping[Cell, Cost]  # by `Cell.pack_key`

GAIN = 0.1  # a pack is large enough when what its cells share is a tenth of what they do not

LARGEST = 64  # cells of a pack; a larger one gains nothing and loses more when it dies
