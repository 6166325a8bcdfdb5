"""The cells of a grid that are known, given the rows so far.

Without a search these are all cells from the start. With one, more become known as rows come in:
trials first, then the trainings of the winners, and further seeds or studies where a look has left
a comparison open. The rows alone decide, so an interrupted command goes on where it stood.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.errors import InputError
from harness.experiment.cell import Cell, ModelCard
from harness.experiment.grid import PINNED_VERSIONS, Grid, ListedDraw, Sweep, name_cells
from harness.experiment.search.space import Space
from harness.experiment.search.spec import SearchSpec
from harness.search.decisions import find_open_arms
from harness.search.looks import LookState, MakeUnit, Unit, follow_looks
from harness.search.points import check_space
from harness.search.search import Rows, Search, has_ended
from harness.search.studies import OpenStudy, find_open_study

MAX_NAMES = 6  # of arms in a line


@dataclass(frozen=True)
class Design:
    """A grid, and what it takes to expand it.

    cards: of the registered models, by name
    listed_draw: the labelled images of a file
    data_versions: `Cell.data_version` of each known data set
    """

    grid: Grid
    cards: Mapping[str, ModelCard]
    listed_draw: ListedDraw | None = None
    data_versions: Mapping[str, str] = field(default_factory=lambda: PINNED_VERSIONS)

    def list_due(self, rows: Rows) -> list[Cell]:
        """The cells that are known, in a fixed order: more rows never take one away, unless a
        failed trial has ended well since.
        """
        if self.grid.search is None and self.grid.looks is None:
            return list(self._swept_cells)
        return list(dict.fromkeys(self.follow_looks(rows).cells))

    def count_open(self, rows: Rows) -> int:
        """How many cells may come besides those that are known, at most."""
        if self.grid.search is None and self.grid.looks is None:
            return 0
        return self.follow_looks(rows).n_open

    def list_open_studies(self, rows: Rows) -> list[OpenStudy]:
        """The studies that are known and whose further points a searcher of Ray Tune proposes."""
        if self.grid.search is None or self.grid.search.method != "tune":
            return []
        units = self.follow_looks(rows).units
        if self.grid.compare.unit == "study":
            counts = [len(each) for each in units]
        else:
            counts = [self.grid.search.studies] * len(self.searches)
        found = [
            find_open_study(search, study, rows)
            for search, count in zip(self.searches, counts, strict=True)
            for study in range(count)
        ]
        return [study for study in found if study is not None]

    def list_examples(self) -> list[Cell]:
        """Cells like those that come: for what can be checked before any is known."""
        return [search.make_trial(0, 0) for search in self.searches]

    def describe_outlook(self, rows: Rows) -> str:
        """What may come besides the known cells, in a line; empty if nothing does."""
        if self.grid.search is None and self.grid.looks is None:
            return ""
        state = self.follow_looks(rows)
        if not state.n_open:
            return ""
        parts = [f"up to {state.n_open:,} more cells follow from the rows of these"]
        if open_trials := [len(study.numbers) for study in self.list_open_studies(rows)]:
            parts = [
                f"open trials, whose points Ray Tune proposes: {sum(open_trials):,} in "
                f"{len(open_trials)} {'study' if len(open_trials) == 1 else 'studies'}",
                *parts,
            ]
        if self.grid.looks is not None:
            size = self.grid.looks[min(state.n_taken, len(self.grid.looks) - 1)]
            names = [self._arm_names[number] for number in sorted(state.running)]
            shown = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
            parts = [
                f"look {state.n_taken + 1} of {len(self.grid.looks)}, at {size} "
                f"{self.grid.unit_name}: {len(names)} of {len(state.units)} arms go on ({shown})",
                *parts,
            ]
        return "; ".join(parts)

    @cached_property
    def _arm_names(self) -> Sequence[str]:
        """The names of the arms of `_list_arms`, in its order."""
        if self.grid.search is None:
            names = name_cells([cells[0] for cells in self._swept_arms])
            return [name.rpartition(" seed=")[0] for name in names.values()]
        if self.grid.compare.unit == "study":
            return [search.base.model for search in self.searches]
        studies = range(self.grid.search.studies)
        return [f"{each.base.model} study {study}" for each in self.searches for study in studies]

    def follow_looks(self, rows: Rows) -> LookState:
        """The seeds or studies that are known; without declared looks there is one, at the end."""
        arms = self._list_arms(rows)
        looks = self.grid.looks or [self.grid.n_units]
        find_running = functools.partial(find_open_arms, self.grid, rows)
        return follow_looks(arms, looks, rows, find_running)

    def _list_arms(self, rows: Rows) -> list[MakeUnit]:
        """The arms that are compared, each as a function from the number of a unit to the unit."""
        if self.grid.search is None:
            return [functools.partial(_make_swept_unit, cells) for cells in self._swept_arms]
        studies = range(self.grid.search.studies)
        if self.grid.compare.unit == "study":
            make = functools.partial(self._make_study, rows)
            return [functools.partial(make, search) for search in self.searches]
        return [
            functools.partial(self._make_seed, rows, search, study)
            for search in self.searches
            for study in studies
        ]

    def _make_study(self, rows: Rows, search: Search, study: int) -> Unit:
        """The trials of a study, and its winner's trainings once there is a winner."""
        return self._make_unit(rows, search, study, self.grid.seeds)

    def _make_seed(self, rows: Rows, search: Search, study: int, index: int) -> Unit:
        """The training of a study's winner for one seed; open trials are counted with the first."""
        unit = self._make_unit(rows, search, study, [self.grid.seeds[index]])
        return replace(unit, n_open=1) if index and unit.n_open else unit

    def _make_unit(self, rows: Rows, search: Search, study: int, seeds: Sequence[int]) -> Unit:
        trials = search.list_trials(study, rows)
        winner = search.find_winner(study, rows)
        finals = [search.make_final(winner, seed) for seed in seeds] if winner else []
        n_open = 0
        if not trials.complete:
            n_open = search.count_trials() - len(trials.cells) + len(seeds)
        return Unit([*trials.cells, *finals], n_open)

    def list_winners(self, rows: Rows) -> list[tuple[Search, int, Cell | None]]:
        """Each study that has ended, with its winner, None where no trial has the metric."""
        return [
            (search, study, search.find_winner(study, rows))
            for search in self.searches
            for study in range(search.spec.studies)
            if search.list_trials(study, rows).complete
        ]

    def describe_search(self, cell: Cell) -> str:
        """The column `search_spec` of a cell; empty for one that belongs to no search."""
        if not cell.stage:
            return ""
        specs = [search.spec for search in self.searches if search.owns(cell)]
        return max(specs, key=lambda spec: spec.trials).describe()

    def list_spent(self, rows: Rows) -> list[Cell]:
        """The trials whose kept training states nothing needs any more."""
        return [
            cell
            for search in self.searches
            for study in range(search.spec.studies)
            if (trials := search.list_trials(study, rows)).complete
            and has_ended(trials.cells, rows)
            for cell in trials.cells
        ]

    @cached_property
    def _swept_cells(self) -> Sequence[Cell]:
        return self.grid.cells(self.cards, self.listed_draw, self.data_versions)

    @cached_property
    def _swept_arms(self) -> Sequence[Sequence[Cell]]:
        """The cells of each arm, one for each seed of the grid, in their order."""
        arms: dict[Cell, list[Cell]] = {}
        for cell in self._swept_cells:
            arms.setdefault(replace(cell, seed=0), []).append(cell)
        return list(arms.values())

    @cached_property
    def searches(self) -> Sequence[Search]:
        """One for each configuration of the grid; InputError where a space does not fit.

        Searches of unequal budgets are refused unless the grid says `budget: free`.
        """
        if self.grid.search is None:
            return []
        found = [
            search for sweep in self.grid.sweeps for search in self._search(sweep, self.grid.search)
        ]
        if self.grid.search.budget == "equal":
            _refuse_unequal(found)
        return found

    def _search(self, sweep: Sweep, spec: SearchSpec) -> list[Search]:
        """The searches of a sweep: one for each point of its lists."""
        bases = self.grid.cells_of(sweep, self.cards, [0], self.listed_draw, self.data_versions)
        space = spec.space.lay_over(sweep.space)
        if not space.axes:
            raise InputError(f"search: the sweep of model '{sweep.model}' has no axis to search")
        card = self.cards[sweep.model]
        changed = spec.model_copy(update={"space": space, "trials": sweep.trials or spec.trials})
        searches = [Search(base, card, changed) for base in bases]
        _refuse_listed_axes(sweep, space)
        _refuse_lost_momentum(sweep, space)
        for search in searches:
            check_space(space, card, search.base)
        return searches


def _make_swept_unit(cells: Sequence[Cell], index: int) -> Unit:
    return Unit([cells[index]])


def _refuse_listed_axes(sweep: Sweep, space: Space) -> None:
    """InputError for an axis of which the sweep lists several values too."""
    for name in space.axes:
        group, _, key = name.rpartition(".")
        values = getattr(sweep, group).get(key, []) if group else getattr(sweep, key)
        if len(values) > 1:
            raise InputError(
                f"search space, {name}: the sweep of model '{sweep.model}' lists {len(values)} "
                "values of it; expected one or none, as the search chooses them"
            )


def _refuse_lost_momentum(sweep: Sweep, space: Space) -> None:
    """InputError for a momentum of the sweep where the optimiser is searched: a cell of an
    optimiser without momentum does not keep one.
    """
    is_lost = "recipe.optimizer" in space.axes and "recipe.momentum" not in space.axes
    if is_lost and "momentum" in sweep.recipe:
        raise InputError(
            "search space, recipe.optimizer: expected the momentum of the sweep as an axis too "
            f"(space: {{recipe: {{momentum: {sweep.recipe['momentum']}}}}})"
        )


def _refuse_unequal(searches: Sequence[Search]) -> None:
    """InputError unless all searches have the same trials and the same full length."""
    budgets = {
        "trials": {search.spec.trials for search in searches},
        "steps of a full training": {search.base.iterations for search in searches},
    }
    for what, values in budgets.items():
        if len(different := sorted(values)) > 1:
            raise InputError(
                f"search: arms of {' and '.join(map(str, different))} {what}; expected the same "
                "for all, or budget: free, which every sentence then says"
            )
