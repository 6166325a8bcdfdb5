"""What is left of an experiment, checked before anything is written."""

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.cli.experiment import Experiment
from harness.data.validation_split import check_validation
from harness.errors import InputError
from harness.evaluation.further_metrics import check_metrics
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.deprecation import describe_old_imports
from harness.scheduling import mixed_sources, packing
from harness.scheduling import plan as planning
from harness.scheduling.call_timing import trial_threads
from harness.scheduling.plan import Plan
from harness.search.studies import OpenStudy, StudyKey
from harness.storage.schema import Row
from harness.storage.store import Contents, Store
from harness.training.conformance import contract


@dataclass(frozen=True)
class Workload:
    """The cells that are left and known by now, and what they need.

    Trials of a search come alone: what follows from them waits, and their data sets have no test
    images.

    `studies` are those whose further trials a searcher of Ray Tune proposes; they are run when no
    other trials are left. `refused` holds the cells whose model cannot be trained or scored, each
    with the reason; they are not in `plan.todo`. `sets` are the data sets by name, `corrupt` the
    damaged files of the store by key, each with a description. `evaluation` is what the cells are
    scored on.
    """

    plan: Plan
    refused: Mapping[Cell, str]
    sets: Mapping[str, Data]
    corrupt: Mapping[str, str]
    evaluation: EvaluationConfig
    studies: Sequence[OpenStudy] = ()

    @property
    def is_search(self) -> bool:
        """Whether the cells are trials of a search."""
        known = (*self.plan.todo, *self.refused)
        return any(cell.stage == "search" for cell in known) or bool(self.studies)

    @property
    def has_known_cells(self) -> bool:
        """Whether cells are left that are known by now."""
        return bool(self.plan.todo or self.refused)

    @property
    def is_empty(self) -> bool:
        """Whether every cell of the grid is done or left out."""
        return not self.has_known_cells and not self.studies

    @property
    def kinds(self) -> tuple[Cell, ...]:
        """The cells to do, and cells like those that the studies bring."""
        return (*self.plan.todo, *list_examples(self.studies))


def plan_workload(
    experiment: Experiment,
    handled: Collection[Cell] = (),
    handled_studies: Collection[StudyKey] = (),
) -> Workload:
    """Find what is left, load its data sets, and check files and models.

    handled, handled_studies: those that this command has run already

    InputError where something cannot be used. Warnings go to stderr, and nothing is written.
    """
    resume = experiment.options.resume
    contents = read_rows(experiment.store)
    refuse_changed_data(experiment.cells, contents.rows.values())
    plan = find_due(experiment, contents.rows, handled)
    studies = find_studies(experiment, contents.rows, handled_studies)
    evaluation = experiment.evaluation
    if studies or any(cell.stage == "search" for cell in plan.todo):
        evaluation = evaluation.of_search
        plan = replace(plan, todo=tuple(cell for cell in plan.todo if cell.stage == "search"))
    outdated = planning.check_checkpoints(experiment.store, plan.todo) if resume != "never" else []
    if not handled:
        warn_about_plugins(experiment, plan)
    warn_about_checkpoints(outdated)
    cells = (*plan.todo, *list_examples(studies))
    if not handled:
        check_metrics(experiment.evaluation.metrics, cells)
    sets = select_sets(experiment, cells)
    contract.refuse_missing_classes(cells)
    violations = find_violations(cells, evaluation)
    refused = {cell: violations[cell.pack_key] for cell in cells if cell.pack_key in violations}
    todo = tuple(cell for cell in plan.todo if cell not in refused)
    fit = tuple(study for study in studies if not refused.keys() & set(study.examples))
    return Workload(replace(plan, todo=todo), refused, sets, contents.corrupt, evaluation, fit)


def list_examples(studies: Iterable[OpenStudy]) -> list[Cell]:
    """Cells like those that studies bring."""
    return [cell for study in studies for cell in study.examples]


def find_studies(
    experiment: Experiment, rows: Mapping[str, Row], handled: Collection[StudyKey]
) -> list[OpenStudy]:
    """The open studies whose trials this command is to run."""
    if experiment.options.resume == "failed":
        return []
    return [
        study for study in experiment.design.list_open_studies(rows) if study.key not in handled
    ]


def find_due(experiment: Experiment, rows: Mapping[str, Row], handled: Collection[Cell]) -> Plan:
    """The plan of the cells that the rows make known, without those that were handled.

    With `--resume never` only the rows of handled cells count. With `--resume failed` what follows
    from failed cells that were handled is due too.
    """
    resume, done = experiment.options.resume, {cell.id for cell in handled}
    counted = {name: rows[name] for name in done & rows.keys()} if resume == "never" else rows
    cells = experiment.design.list_due(counted)
    plan = planning.make_plan(cells, rows, experiment.evaluation, resume)
    following = find_following(experiment, rows, done) if resume == "failed" and done else []
    todo = (*plan.todo, *following)
    return replace(plan, todo=tuple(cell for cell in todo if cell.id not in done))


def find_following(
    experiment: Experiment, rows: Mapping[str, Row], done: Collection[str]
) -> list[Cell]:
    """The cells without a row that would not be known if the cells with these ids had failed."""
    if_failed = {name: {**row, "status": "failed"} for name, row in rows.items() if name in done}
    known = set(experiment.design.list_due({**rows, **if_failed}))
    cells = experiment.design.list_due(rows)
    return [cell for cell in cells if cell.id not in rows and cell not in known]


def read_rows(store: Store) -> Contents:
    """Read all rows; damaged files are named on stderr."""
    contents = store.scan()
    for damage in contents.corrupt.values():
        print(f"damaged: {damage}", file=sys.stderr)
    return contents


def refuse_changed_data(cells: Iterable[Cell], rows: Iterable[Row]) -> None:
    """InputError where rows are of a data set that has another content now, under one name."""
    versions = {cell.dataset: cell.data_version for cell in cells}
    for row in rows:
        name, version = row["dataset"], row.get("data_version") or ""
        if versions.get(name, version) != version:
            found, present = (text or "fixed by its name" for text in (version, versions[name]))
            raise InputError(
                f"data set '{name}' has changed: the results have rows of version {found}, the "
                f"present data are version {present}; expected the same data, another name for "
                "them, or another results folder (--results)"
            )


def select_sets(experiment: Experiment, cells: Sequence[Cell]) -> dict[str, Data]:
    """Load the data sets of the cells; those of a search get no test images.

    InputError where a listed image is not in one, or where images cannot be held out.
    """
    sets = {name: experiment.datasets.load(name) for name in sorted({c.dataset for c in cells})}
    experiment.evaluation.check_indices(
        {name: (len(data.test_x), len(data.train_x)) for name, data in sets.items()}
    )
    for kind in {cell.pack_key for cell in cells}:
        check_validation(sets[kind.dataset], kind, experiment.evaluation.labelled)
    if any(cell.stage == "search" for cell in cells):
        return {name: data.without_test() for name, data in sets.items()}
    return sets


def find_violations(cells: Sequence[Cell], evaluation: EvaluationConfig) -> dict[Cell, str]:
    """The kinds of cells (`Cell.pack_key`) that cannot be trained or scored, each with the reason.

    A score that a model does not offer stays empty: that is a warning on stderr.
    """
    groups = packing.group_by_pack_key(cells)
    for name in sorted({kind.model for kind in groups if kind.has_bound}):
        if evaluation.iwae and not hasattr(registry.lookup(name), "log_weight"):
            print(
                f"model '{name}' has no log_weight: its importance-weighted bounds stay empty",
                file=sys.stderr,
            )
        for request in evaluation.metrics:
            if name not in request.models:
                print(
                    f"model '{name}' does not offer what metric '{request.metric}' needs: "
                    f"{', '.join(request.columns)} stay empty",
                    file=sys.stderr,
                )
    with trial_threads(1):  # two images: threads that wait for each other would take most of it
        reasons = {
            kind: contract.find_violation(group[0], bool(evaluation.iwae))
            for kind, group in groups.items()
        }
    return {kind: reason for kind, reason in reasons.items() if reason is not None}


def warn_about_plugins(experiment: Experiment, plan: Plan) -> None:
    """Say where finished cells were trained with another version of a plug-in, which changes of a
    plug-in affect no cell, and which models are written for version 0.1.
    """
    current_plugins = {cell.model: registry.find_plugin(cell.model) for cell in plan.cells}
    to_train = planning.cells_to_train(plan, experiment.options.resume)
    changes = mixed_sources.describe_source_changes(
        plan.cells, to_train, plan.rows.values(), current_plugins
    )
    old_imports = describe_old_imports(cell.model for cell in plan.cells)
    unused = registry.describe_unused_changes(experiment.plugins)
    replaced = registry.describe_replaced_models(experiment.plugins)
    for line in (*unused, *replaced, *changes, *old_imports):
        print(line, file=sys.stderr)


def warn_about_checkpoints(outdated: Sequence[Cell]) -> None:
    """Print how many checkpoints of each model are ignored because its plug-in has changed."""
    for name, count in sorted(Counter(cell.model for cell in outdated).items()):
        were, are = ("s were", "are") if count > 1 else (" was", "is")
        notice = f"trained with another version of its plug-in and {are} ignored"
        print(f"model '{name}': {count} checkpoint{were} {notice}", file=sys.stderr)
