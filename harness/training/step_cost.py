"""What a step of a pack costs, and how large a pack must be to be worth its start."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.experiment.cell import Cell


@dataclass(frozen=True)
class Cost:
    """Seconds that work on a pack takes.

    fixed, per_cell: a step takes `fixed` + `per_cell` · cells
    score: scoring of one cell
    """

    fixed: float
    per_cell: float
    score: float = 0.0

    def step_seconds(self, cells: int) -> float:
        """Seconds of a step of a pack of `cells` cells.

        >>> Cost(fixed=0.002, per_cell=0.005).step_seconds(8)
        0.042
        """
        return self.fixed + self.per_cell * cells

    def saturation_size(self, max_size: int) -> int:
        """The size, at most `max_size`, from which a larger pack gains little.

        >>> costs = Cost(0.002, 0.005), Cost(0.0, 0.04), Cost(0.001, 0.0)
        >>> [cost.saturation_size(64) for cost in costs]
        [4, 1, 64]
        """
        return next(
            (
                size
                for size in range(1, max_size)
                if self.fixed <= OVERHEAD_SHARE * self.per_cell * size
            ),
            max_size,
        )


Costs = Mapping[Cell, Cost]  # by `Cell.pack_key`

# a pack is large enough when its fixed seconds are at most this share of those of its cells
OVERHEAD_SHARE = 0.1
MAX_PACK_SIZE = 64  # cells; a larger pack gains nothing, and loses more work when it dies
