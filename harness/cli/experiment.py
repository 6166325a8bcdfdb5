"""The experiment that the options describe: its cells, their scores, and where results go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.cli.options import RunOptions
from harness.data.loading import DatasetLoader
from harness.data.own import paths
from harness.errors import InputError
from harness.evaluation.further_metrics import list_own_columns, request_metrics
from harness.execution.launcher import Resources
from harness.execution.ray_tune import check_own_objects
from harness.experiment import grid_file
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig, make_evaluation_config
from harness.experiment.grid import Grid
from harness.monitoring.tracking import NamedTracker, make_trackers
from harness.plugins import registry
from harness.plugins.source_files import Plugin
from harness.search.design import Design
from harness.storage.store import Store

UNNAMED = "grid"  # the name of a grid that was given as keys without one


@dataclass(frozen=True)
class Experiment:
    """A grid with the options of its run.

    `cells` are those that are known from the start, done or not: all of them, unless `design` makes
    more known as rows come in. Where none is known, they are examples of those that come.
    """

    options: RunOptions
    grid: Grid
    plugins: tuple[Plugin, ...]
    design: Design
    cells: Sequence[Cell]
    evaluation: EvaluationConfig
    resources: Resources
    store: Store
    datasets: DatasetLoader
    trackers: Sequence[NamedTracker] = ()


def read_experiment(options: RunOptions) -> Experiment:
    """Load the plug-ins and the grid, and open the store; InputError where they do not fit.

    Nothing is written.
    """
    plugins = registry.load_plugins(options.plugins)
    cards = registry.cards()  # imports the entry points, which may register metrics
    grid = grid_file.apply_flags(
        select_grid(options), options.grid_keys, list(options.models), list_own_columns()
    )
    grid = name_datasets(grid, paths.register_paths(grid.datasets))
    evaluation = make_evaluation_config(grid.subset, grid.iwae, grid.iwae_on, grid.samples)
    datasets = DatasetLoader(options.data)
    versions = {name: datasets.version(name) for name in grid.datasets}
    design = Design(grid, cards, evaluation.listed_draw, versions)
    cells = design.list_due({}) or design.list_examples()
    check_search(grid, design, options)
    evaluation.check_cells(cells)
    metrics = request_metrics(grid.metrics, {cell.model for cell in cells})
    evaluation = replace(evaluation, metrics=metrics)
    if options.launcher == "ray":
        registry.refuse_local({cell.model for cell in cells}, plugins)
        registry.refuse_local_metrics(request.metric for request in metrics)
    resources = Resources(options.cpus, options.gpus)
    check_precision(cells, resources)
    store = Store(options.results or Path("results") / grid.name)
    trackers = make_trackers(options.trackers, store.address)
    store.check_reachable()
    return Experiment(
        options, grid, plugins, design, cells, evaluation, resources, store, datasets, trackers
    )


def check_precision(cells: Sequence[Cell], resources: Resources) -> None:
    """InputError where cells ask for a precision that only GPUs have."""
    if not resources.gpus and any(("precision", "tf32") in cell.recipe for cell in cells):
        raise InputError(
            "recipe precision=tf32 is of GPUs; expected --gpus-per-trial, or float32 or bf16"
        )


def name_datasets(grid: Grid, names: Mapping[str, str]) -> Grid:
    """The grid with names in place of the paths of data sets.

    names: the name of each entry
    """
    sweeps = [
        sweep
        if all(names[entry] == entry for entry in sweep.dataset)
        else sweep.model_copy(update={"dataset": [names[entry] for entry in sweep.dataset]})
        for sweep in grid.sweeps
    ]
    return grid.model_copy(update={"sweeps": sweeps})


def check_search(grid: Grid, design: Design, options: RunOptions) -> None:
    """InputError where a searcher or scheduler of Ray Tune cannot be used."""
    if grid.search is None or grid.search.method != "tune":
        return
    if options.launcher != "ray":
        raise InputError(
            "search, method tune: runs in Ray Tune; expected --launcher ray, got "
            f"{options.launcher}"
        )
    if options.resume == "never":
        raise InputError(
            "search, method tune: proposes other points each time, so --resume never would mix two "
            "searches; expected another results folder (--results)"
        )
    for search in design.searches:
        check_own_objects(search.spec, options.address)


def select_grid(options: RunOptions) -> dict[str, Any]:
    """The keys of the grid that was named, else of the models alone, else of `quick`."""
    if options.grid is None and options.models:
        return {
            "name": "-".join(options.models)[:64],
            "seeds": 3,
            "sweeps": [{"model": name} for name in options.models],
        }
    if isinstance(options.grid, Mapping):
        return {"name": UNNAMED, **options.grid}
    return grid_file.read(options.grid or "quick")
