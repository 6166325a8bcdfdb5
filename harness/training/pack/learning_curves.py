"""The learning curves of the cells of a pack: when points are due, and what they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.experiment.cell import Cell
from harness.storage.schema import infer_estimator
from harness.training.objective import LossParts

CURVE_POINTS = 200
# the accuracy, which takes all test images, is computed after so many curve points and steps
ACCURACY_EVERY_POINTS = 10
ACCURACY_EVERY_STEPS = 100

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class CurveSchedule:
    """The steps at which a training of `iterations` steps has points, and those with scores."""

    iterations: int

    @property
    def stride(self) -> int:
        """Steps between two points."""
        return max(1, -(-self.iterations // CURVE_POINTS))

    def next_point(self, step: int) -> int:
        """The step of the first point after `step`."""
        return min(self.iterations, (step // self.stride + 1) * self.stride)

    def scores_due(self, step: int) -> bool:
        """Whether the point at `step` has scores; the last one always has."""
        interval = max(ACCURACY_EVERY_POINTS, -(-ACCURACY_EVERY_STEPS // self.stride))
        return (step // self.stride) % interval == 0 or step == self.iterations


def count_scored_points(iterations: int) -> int:
    """How many points with scores the curve of a training of so many steps has.

    >>> count_scored_points(20_000), count_scored_points(500)
    (20, 5)
    """
    schedule, step, count = CurveSchedule(iterations), 0, 0
    while step < iterations:
        step = schedule.next_point(step)
        count += schedule.scores_due(step)
    return count


class LearningCurves:
    """The learning curves of the cells of a pack, and the losses since their last points.

    - points: those of each cell, in the order of the cells.
    - recent_losses: the `LossParts` of each step since the last point, (4, cells) each.
    """

    def __init__(self, cells: Sequence[Cell], has_exact_nll: bool):
        self.cells, self.has_exact_nll = cells, has_exact_nll
        self.points: list[list[dict[str, Any]]] = [[] for _ in cells]
        self.recent_losses: list[Tensor] = []

    def add_losses(self, parts: LossParts) -> None:
        """Take the losses of a step, without waiting for the device."""
        self.recent_losses.append(torch.stack(parts))

    def read_losses(self, steps: int) -> Tensor:
        """The losses of the last steps on the CPU: (steps, cells). This waits for the device."""
        return torch.stack(self.recent_losses[-steps:])[:, 0].cpu()

    def add_point(self, step: int, seconds: float, scores: Sequence[Scores]) -> None:
        """Add the means of the losses since the last point as a point of each cell.

        scores: columns of each cell's point besides; those of the accuracy, where it is due
        """
        means = torch.stack(self.recent_losses).mean(0).T.tolist()
        self.recent_losses = []
        for cell, points, (loss, rec, kl, extra), columns in zip(
            self.cells, self.points, means, scores, strict=True
        ):
            likelihood = self._likelihood_columns(rec, kl) if cell.has_bound else {}
            point = {"step": step, **likelihood, "extra": extra, "accuracy": None}
            point |= {"seconds": seconds, "loss": loss, **columns}
            points.append({name: _nan_to_none(value) for name, value in point.items()})

    def _likelihood_columns(self, rec: float, kl: float) -> dict[str, float]:
        """The columns of a curve point about log p(x), from the means `rec` and `kl`.

        They are nelbo for a bound or nll for an exact value, and the parts.
        """
        if self.has_exact_nll:
            return {"nll": rec}
        columns = {"elbo": {"nelbo": rec + kl}, "exact": {"nll": rec}, "none": {}}[
            infer_estimator(_nan_to_none(rec), _nan_to_none(kl))
        ]
        return columns | {"kl": kl, "rec": rec}

    def extract_trace(self, index: int) -> dict[str, Tensor]:
        """The losses since the last point of a cell, (steps, 4), as a checkpoint holds them."""
        if not self.recent_losses:
            return {}
        return {"trace": torch.stack(self.recent_losses)[..., index].contiguous()}

    def resume(
        self,
        points: Sequence[Sequence[dict[str, Any]]],
        traces: Sequence[Tensor | None],
        device: torch.device,
    ) -> None:
        """Continue the curves of the cells with their saved points and losses."""
        self.points = [list(curve) for curve in points]
        losses = [trace for trace in traces if trace is not None]
        if len(losses) == len(traces):
            self.recent_losses = list(torch.stack(losses, -1).to(device))


def _nan_to_none(value: Any) -> Any:
    """None for nan, which means a part that the model does not have."""
    return None if value != value else value
