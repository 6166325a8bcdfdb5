"""The cells of a grid that are known, given the rows so far.

Without a search these are all cells from the start. With one, more become known as rows come in:
trials first, then the trainings of the winners. The rows alone decide, so an interrupted command
goes on where it stood.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from harness.errors import InputError
from harness.experiment.cell import Cell, ModelCard
from harness.experiment.grid import PINNED_VERSIONS, Grid, ListedDraw, Sweep
from harness.experiment.search.space import Space
from harness.experiment.search.spec import SearchSpec
from harness.search.points import check_space
from harness.search.search import Rows, Search, has_ended


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
        if self.grid.search is None:
            return list(self._swept_cells)
        return list(
            dict.fromkeys(
                cell
                for search in self.searches
                for study in range(search.spec.studies)
                for cell in self._list_study(search, study, rows)
            )
        )

    def _list_study(self, search: Search, study: int, rows: Rows) -> list[Cell]:
        """The trials of a study, and its winner's trainings once there is a winner."""
        trials = search.list_trials(study, rows)
        winner = search.find_winner(study, rows)
        finals = [search.make_final(winner, seed) for seed in self.grid.seeds] if winner else []
        return [*trials.cells, *finals]

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
        specs = {search.spec.identity: search.spec for search in self.searches}
        return specs[cell.search].describe() if cell.stage else ""

    def count_open(self, rows: Rows) -> int:
        """How many cells may come besides those that are known, at most."""
        open_cells = 0
        for search in self.searches:
            for study in range(search.spec.studies):
                trials = search.list_trials(study, rows)
                if not trials.complete:
                    open_cells += search.count_trials() - len(trials.cells) + len(self.grid.seeds)
        return open_cells

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
        for search in searches:
            check_space(space, card, search.base)
        return searches


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
