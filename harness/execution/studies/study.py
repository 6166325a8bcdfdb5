"""What it takes to run the open trials of a study. No Ray here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.experiment.search.space import Point
from harness.experiment.search.spec import SearchSpec
from harness.training.task import Task


@dataclass(frozen=True)
class Study:
    """The open trials of an independent search.

    spec: with the space of the sweep
    study: its number
    numbers: of the open trials, in the order in which they get points
    known: points of earlier trials, and the values of the metric there
    make_task: the task of a trial by its number and point; InputError for a point that cannot be
    """

    spec: SearchSpec
    study: int
    numbers: Sequence[int]
    known: Sequence[tuple[Point, float]]
    make_task: Callable[[int, Point], Task]
