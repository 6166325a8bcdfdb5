"""The search of one configuration: its trials, the winner of each study, and their trainings.

Everything is a function of the rows that exist. So the same command after any interruption finds
the same trials, the same winners and the same trainings, and runs what is missing of them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from harness.experiment.cell import Cell, ModelCard, Setting
from harness.experiment.recipe import Recipe
from harness.experiment.search.space import GROUPS, Point
from harness.experiment.search.spec import SEARCH_SEED, SEEDS_PER_STUDY, SearchSpec
from harness.search.points import place_at
from harness.storage.schema import Row, cell_of

Rows = Mapping[str, Row]  # by the cell's id
PLACE = ("study", "trial", "rung", "split")  # numbers that say where in a search a cell is


@dataclass(frozen=True)
class Trials:
    """The trials of a study that are known by now, and whether these are all and have ended."""

    cells: Sequence[Cell]
    complete: bool


@dataclass(frozen=True)
class Search:
    """A configuration whose searched values are open.

    base: a cell of it, at full length, with seed 0
    spec: with the trials and the space of its sweep
    """

    base: Cell
    card: ModelCard
    spec: SearchSpec

    @cached_property
    def identity(self) -> str:
        """The hash that its cells carry."""
        return self.spec.identify(self.base.iterations)

    def make_trial(self, study: int, trial: int, point: Point | None = None) -> Cell:
        """The cell of a trial at full length; `point` is drawn from the space by default."""
        drawn = self.spec.space.draw(study, trial) if point is None else point
        return replace(
            place_at(self.base, self.card, drawn),
            search=self.identity,
            stage="search",
            study=study,
            trial=trial,
            split=study if self.spec.split == "study" else 0,
            seed=SEEDS_PER_STUDY * study + SEARCH_SEED,
        )

    def make_final(self, winner: Cell, seed: int) -> Cell:
        """The training of a winner for a seed of the grid, which is another in each study."""
        return replace(
            winner,
            stage="final",
            rung=0,
            iterations=self.base.iterations,
            seed=SEEDS_PER_STUDY * winner.study + seed,
        )

    @property
    def has_short_trials(self) -> bool:
        """Whether trials may end before their full length."""
        return self.spec.method in ("halving", "tune")

    def owns(self, cell: Cell) -> bool:
        """Whether a cell is a trial of this search, or the training of a winner of it."""
        return (
            cell.search == self.identity
            and (self.has_short_trials or cell.iterations == self.base.iterations)
            and self._hide_point(cell) == self._hide_point(self.base)
        )

    def _hide_point(self, cell: Cell) -> Cell:
        """The cell without what is searched, without its place in the search and its length."""
        axes = self.spec.space.axes
        values: dict[str, Any] = {
            group: tuple((n, v) for n, v in getattr(cell, group) if f"{group}.{n}" not in axes)
            for group in GROUPS
        }
        values |= {name: 1 for name in ("learning_rate", "batch_size", "beta") if name in axes}
        place: dict[str, Any] = dict.fromkeys(("seed", "iterations", *PLACE), 0)
        return replace(cell, search="", stage="", **place, **values)

    def list_trials(self, study: int, rows: Rows) -> Trials:
        """The trials of a study that the rows so far determine."""
        return _METHODS[self.spec.method](self, study, rows)

    def count_trials(self) -> int:
        """The cells that the trials of a study are in all, its rungs counted."""
        if self.spec.method == "halving":
            return sum(count for count, _ in list_rungs(self.spec, self.base.iterations))
        return self.spec.trials

    def describe_point(self, cell: Cell) -> str:
        """The searched values of a trial or of a winner: `learning_rate=0.001 settings.z=20`."""
        return " ".join(f"{name}={value}" for name, value in self.read_point(cell).items())

    def read_point(self, cell: Cell) -> dict[str, Setting]:
        """The searched values of a trial or of a winner, by axis."""
        values: dict[str, Setting] = {
            "learning_rate": cell.learning_rate,
            "batch_size": cell.batch_size,
            "beta": cell.beta,
        }
        defaults = {"settings": self.card.defaults, "recipe": vars(Recipe()), "term_weights": {}}
        for group, known in defaults.items():
            named = {**known, **dict(getattr(cell, group))}
            values |= {f"{group}.{name}": value for name, value in named.items()}
        return {name: values.get(name, 1.0) for name in self.spec.space.axes}

    def find_winner(self, study: int, rows: Rows) -> Cell | None:
        """The best trial of a study; None while trials are missing, or if none has the metric."""
        trials = self.list_trials(study, rows)
        finished = [cell for cell in trials.cells if cell.iterations == self.base.iterations]
        best = rank(finished, rows, self.spec.metric) if trials.complete else []
        return best[0] if best else None


def rank(cells: Sequence[Cell], rows: Rows, metric: str) -> list[Cell]:
    """The cells whose rows have the metric, the best first, ties by the number of the trial."""
    scored = [(score(rows.get(cell.id), metric), cell) for cell in cells]
    usable = [(value, cell.trial, cell) for value, cell in scored if value is not None]
    return [cell for _, _, cell in sorted(usable, key=lambda each: each[:2])]


def score(row: Row | None, metric: str) -> float | None:
    """What a search minimises, from a row; None where it has no finite value."""
    value = (row or {}).get(metric)
    if row is None or row["status"] != "ok" or value is None or not math.isfinite(value):
        return None
    return -float(value) if metric == "validation_accuracy" else float(value)


def has_ended(cells: Sequence[Cell], rows: Rows) -> bool:
    """Whether every cell has a row, good or not."""
    return all(cell.id in rows for cell in cells)


def list_random(search: Search, study: int, rows: Rows) -> Trials:
    """Random search: all points are known from the start (Bergstra and Bengio, 2012)."""
    cells = [search.make_trial(study, trial) for trial in range(search.spec.trials)]
    return Trials(cells, has_ended(cells, rows))


def list_halving(search: Search, study: int, rows: Rows) -> Trials:
    """Successive halving (Jamieson and Talwalkar, 2016, algorithm 1), a rung at a time.

    A rung is known when the one before has ended. It goes on from the training states of the
    survivors, for `eta` times the steps.
    """
    spec, known = search.spec, list[Cell]()
    trials = [search.make_trial(study, trial) for trial in range(spec.trials)]
    for rung, (count, steps) in enumerate(list_rungs(spec, search.base.iterations)):
        cells = [replace(cell, rung=rung, iterations=steps) for cell in trials[:count]]
        known += cells
        if not has_ended(cells, rows):
            return Trials(known, complete=False)
        trials = rank(cells, rows, spec.metric)
    return Trials(known, complete=True)


def list_rungs(spec: SearchSpec, iterations: int) -> list[tuple[int, int]]:
    """The number of trials and the steps of each rung of a training of `iterations` steps.

    >>> list_rungs(SearchSpec(trials=9, method="halving"), 900)
    [(9, 100), (3, 300), (1, 900)]
    """
    return [
        (
            max(1, spec.trials // spec.eta**rung),
            max(1, math.ceil(iterations / spec.eta ** (spec.rungs - 1 - rung))),
        )
        for rung in range(spec.rungs)
    ]


def list_tpe(search: Search, study: int, rows: Rows) -> Trials:
    """Trials that Optuna's estimator proposes, `batch` at a time, from the rows of those before."""
    from harness.search import tpe  # optuna is an optional dependency

    spec, known = search.spec, list[Cell]()
    points: list[Point] = []
    while len(known) < spec.trials:
        if not has_ended(known, rows):
            return Trials(known, complete=False)
        values = [score(rows[cell.id], spec.metric) for cell in known]
        count = min(spec.batch, spec.trials - len(known))
        new = tpe.propose(spec.space, study, points, values, count)
        known += [
            search.make_trial(study, trial, point) for trial, point in enumerate(new, len(known))
        ]
        points += new
    return Trials(known, has_ended(known, rows))


def list_tune(search: Search, study: int, rows: Rows) -> Trials:
    """The trials that have rows: only a searcher of Ray Tune knows the points of others.

    Two commands at once may give one number twice: then the trial that finished first counts.
    """
    place = (search.identity, "search", study)
    found = [row for row in rows.values() if (row["search"], row["stage"], row["study"]) == place]
    trials: dict[int, Cell] = {}
    for row in sorted(found, key=lambda row: (row["trial"], row["finished"] or "", row["cell"])):
        cell = cell_of(row)
        if cell.trial < search.spec.trials and search.owns(cell):
            trials.setdefault(cell.trial, cell)
    return Trials(list(trials.values()), len(trials) == search.spec.trials)


_METHODS: Mapping[str, Callable[[Search, int, Rows], Trials]] = {
    "random": list_random,
    "halving": list_halving,
    "tpe": list_tpe,
    "tune": list_tune,
}
