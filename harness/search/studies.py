"""Studies whose points a searcher of Ray Tune proposes: what is left of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.experiment.cell import Cell
from harness.experiment.search.space import Point
from harness.search.search import Rows, Search, score

StudyKey = tuple[Cell, int]  # a trial of its search, and its number


@dataclass(frozen=True)
class OpenStudy:
    """A study with trials that no row has yet.

    numbers: of these trials
    known: the points of the trials that ended at full length with a metric, and its values
    """

    search: Search
    study: int
    numbers: tuple[int, ...]
    known: Sequence[tuple[Point, float]]

    @property
    def key(self) -> StudyKey:
        """What tells it from other studies of a grid, whatever its rows are."""
        return self.search.make_trial(0, 0), self.study

    @property
    def name(self) -> str:
        """How messages call it: `vae study 0`."""
        return f"{self.search.base.model} study {self.study}"

    @property
    def examples(self) -> list[Cell]:
        """The open trials at the points of random search: what they are like, before any is run."""
        return [self.search.make_trial(self.study, number) for number in self.numbers]


def find_open_study(search: Search, study: int, rows: Rows) -> OpenStudy | None:
    """What is left of a study; None if nothing is, or if the harness itself chooses its points."""
    trials = search.list_trials(study, rows)
    if search.spec.method != "tune" or trials.complete:
        return None
    taken = {cell.trial for cell in trials.cells}
    numbers = tuple(number for number in range(search.spec.trials) if number not in taken)
    known = [
        (search.read_point(cell), float(rows[cell.id][search.spec.metric]))
        for cell in trials.cells
        if cell.iterations == search.base.iterations
        and score(rows[cell.id], search.spec.metric) is not None
    ]
    return OpenStudy(search, study, numbers, known)
