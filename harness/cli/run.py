"""Run a grid: read the experiment, plan the work, measure its cost, launch it, report the end."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cli.dry_run import print_json, show_plan
from harness.cli.experiment import Experiment, read_experiment
from harness.cli.options import RunOptions
from harness.cli.outcome import finish_run
from harness.cli.run_record import prepare_stage, start_run
from harness.cli.workload import Workload, plan_workload, read_rows
from harness.errors import InputError
from harness.execution.launcher import InProcess, Launcher
from harness.execution.ray_session import import_ray, prepare_objects
from harness.execution.ray_tune import RayTune
from harness.execution.shutdown import StopRequest
from harness.execution.studies.study import Study
from harness.experiment.cell import Cell
from harness.experiment.search.space import Point
from harness.monitoring import replay
from harness.monitoring.display import format_duration
from harness.monitoring.phase import show_phase
from harness.monitoring.progress import Progress, make_silent_console
from harness.monitoring.run_state import RunState
from harness.monitoring.tracking import Tracking, make_tracked_run, make_trackers
from harness.plugins import registry
from harness.plugins.registry import load_plugins
from harness.scheduling import packing, score_timing, step_timing
from harness.search.studies import OpenStudy, StudyKey
from harness.storage.layout import checkpoint_key, log_key
from harness.storage.store import Store
from harness.training.conformance.report import print_report
from harness.training.rows import write_row
from harness.training.task import Cost, Costs, Task, Update

_STARTING = {"ray": ", starting Ray", "in-process": ""}


def run_grid(options: RunOptions) -> int:
    """Run a grid, or show its plan; the exit code.

    Everything that can be refused is refused before anything is written.
    """
    with show_phase("reading the grid, the data and the results", options.progress):
        experiment = read_experiment(options)
        workload = plan_workload(experiment)
    if options.dry_run:
        return dry_run(experiment, workload)
    complete(experiment, workload)
    return finish_run(experiment)


def complete(experiment: Experiment, workload: Workload) -> None:
    """Train and score what is left, a stage at a time, and write the table.

    A grid without a search has one stage. The launcher stays for all of them.
    """
    record, launcher, handled, studies = None, None, set[Cell](), set[StudyKey]()
    with ExitStack() as stack:
        while not workload.is_empty:
            if launcher is None:
                launcher, costs = measure_and_connect(experiment, workload)
                stack.callback(launcher.close)
            else:
                costs = measure_costs(experiment, workload)
            prepare_store(experiment, workload)
            record = record or start_run(experiment, workload)
            if workload.has_known_cells:
                launch(experiment, workload, launcher, costs, record)
                handled |= {*workload.plan.todo, *workload.refused}
            else:
                handled |= run_studies(experiment, workload, launcher, record)
                studies |= {study.key for study in workload.studies}
            workload = plan_workload(experiment, handled, studies)
    if record is None:
        prepare_store(experiment, workload)
        experiment.store.compact()
    delete_spent_states(experiment)


def delete_spent_states(experiment: Experiment) -> None:
    """Delete the training states that rungs of ended searches have left."""
    search = experiment.grid.search
    if search is not None and search.method == "halving":
        for cell in experiment.design.list_spent(read_rows(experiment.store).rows):
            experiment.store.remove(checkpoint_key(cell))


def dry_run(experiment: Experiment, workload: Workload) -> int:
    """Print the plan of a run; 1 if a model does not fit."""
    options = experiment.options
    with show_phase("timing steps and scores"):
        costs = measure_costs(experiment, workload)
    slots = 1 if options.launcher == "in-process" else experiment.resources.local_slots()
    packs = make_packs(options, workload.plan.todo, costs, slots)
    if options.as_json:
        return print_json(workload.plan, packs, costs, slots, workload.refused)
    code = show_plan(workload.plan, packs, costs, slots, workload.refused)
    if outlook := experiment.design.describe_outlook(workload.plan.rows):
        n_open = experiment.design.count_open(workload.plan.rows)
        longest = max((packing.pack_seconds((cell,), costs) for cell in workload.kinds), default=0)
        most = format_duration(n_open * longest)
        print(f"{outlook}, at most about {most} of work besides")
    return code


def prepare_store(experiment: Experiment, workload: Workload) -> None:
    """Make sure that the store can be written to, and move damaged files aside."""
    experiment.store.prepare()
    experiment.store.quarantine(workload.corrupt)


def measure_and_connect(experiment: Experiment, workload: Workload) -> tuple[Launcher, Costs]:
    """Time the steps while the launcher starts: Ray waits for its processes meanwhile."""
    if experiment.options.launcher == "ray" and workload.kinds:
        with show_phase("loading Ray", experiment.options.progress):
            import_ray(experiment.options.address)  # the import would slow down the timed steps
            prepare_objects(experiment.plugins)
    what = f"timing steps and scores{_STARTING[experiment.options.launcher]}"
    with show_phase(what, experiment.options.progress), ThreadPoolExecutor(1) as executor:
        costs = executor.submit(measure_costs, experiment, workload)
        return make_launcher(experiment, workload), costs.result()


def measure_costs(experiment: Experiment, workload: Workload) -> dict[Cell, Cost]:
    """What a step and, on CPUs, the scoring of each kind of cell cost, by `Cell.pack_key`."""
    cells, sets = workload.kinds, workload.sets
    evaluation, resources = workload.evaluation, experiment.resources
    step_costs = step_timing.measure_step_costs(
        cells,
        sets,
        evaluation.labelled,
        resources.cpus,
        resources.gpus > 0,
        experiment.options.compile,
    )
    # the time of scoring on a CPU does not predict that on a GPU; trials of a search are not scored
    if resources.gpus or workload.is_search:
        return step_costs
    score_costs = score_timing.measure_score_costs(
        cells, sets, evaluation, resources.cpus, experiment.options.compile
    )
    return {kind: replace(cost, score=score_costs[kind]) for kind, cost in step_costs.items()}


def make_launcher(experiment: Experiment, workload: Workload) -> Launcher:
    """Ray, or this process; Ray is not started where nothing is to be trained or scored."""
    options = experiment.options
    if options.launcher == "in-process" or not workload.kinds:
        return InProcess(experiment.resources)
    return RayTune(experiment.resources, options.address, options.patience_seconds)


def make_packs(
    options: RunOptions, cells: tuple[Cell, ...], costs: Costs, slots: int
) -> list[packing.Pack]:
    """Pack the cells in the given size, or so that all slots are busy to the end; longest first."""
    if options.pack_size == "auto":
        return packing.balanced_packs(cells, costs, slots)
    return packing.longest_first(packing.fixed_packs(cells, options.pack_size), costs)


def launch(
    experiment: Experiment,
    workload: Workload,
    launcher: Launcher,
    costs: Costs,
    record: Mapping[str, Any],
) -> None:
    """Write the rows of refused cells, train and score the rest, and write the table, also where
    the run is interrupted.
    """
    store, todo, refused = experiment.store, workload.plan.todo, workload.refused
    prepare_stage(experiment, workload)
    for cell, reason in refused.items():
        write_failed_row(cell, reason, make_task(experiment, workload, (cell,), record), store)
    packs = make_packs(experiment.options, todo, costs, launcher.slots)
    tasks = [make_task(experiment, workload, pack, record) for pack in packs]
    run = make_tracked_run(record, store, [*refused, *todo])
    try:
        with Tracking(experiment.trackers, run, store) as tracking:
            tracking.pass_rows(cell.id for cell in refused)
            if tasks:
                progress = make_progress(tasks, costs, launcher.slots, experiment, workload)
                launch_tasks(launcher, tasks, workload, store, progress, tracking)
    finally:
        store.compact()


def run_studies(
    experiment: Experiment, workload: Workload, launcher: Launcher, record: Mapping[str, Any]
) -> set[Cell]:
    """Run the trials that searchers of Ray Tune propose, a study after another; their cells."""
    assert isinstance(launcher, RayTune)
    store, cells = experiment.store, set[Cell]()
    prepare_stage(experiment, workload)
    try:
        with (
            Tracking(experiment.trackers, make_tracked_run(record, store, []), store) as tracking,
            StopRequest() as stop,
        ):
            for each in workload.studies:
                if experiment.options.progress:
                    print(f"{each.name}: Ray Tune runs {len(each.numbers)} trials", flush=True)
                study = make_study(experiment, workload, each, record)
                ended = launcher.run_study(study, workload.sets, store, stop)
                tracking.pass_rows(cell.id for cell in ended if store.row(cell.id))
                cells.update(ended)
    finally:
        store.compact()
    return cells


def make_study(
    experiment: Experiment, workload: Workload, study: OpenStudy, record: Mapping[str, Any]
) -> Study:
    """What Ray Tune is handed to run the trials of a study that are left."""

    def make_trial(number: int, point: Point) -> Task:
        cell = study.search.make_trial(study.study, number, point)
        return make_task(experiment, workload, (cell,), record)

    return Study(study.search.spec, study.study, study.numbers, study.known, make_trial)


def launch_tasks(
    launcher: Launcher,
    tasks: list[Task],
    workload: Workload,
    store: Store,
    progress: Progress,
    tracking: Tracking,
) -> None:
    """Run the tasks, with the progress shown and the trackers called."""

    def on_update(index: int, update: Update) -> None:
        progress.on_update(index, update)
        tracking.on_update(update)

    with progress, StopRequest() as stop:
        launcher.run(tasks, workload.sets, store, on_update, stop)


def make_progress(
    tasks: list[Task], costs: Costs, slots: int, experiment: Experiment, workload: Workload
) -> Progress:
    """The progress of a run, which counts the cells that earlier runs have done."""
    plan = workload.plan
    finished = set(plan.cells) - set(plan.todo)
    done = sum(plan.rows.get(cell.id, {}).get("status") == "ok" for cell in finished)
    outlook = experiment.design.describe_outlook(plan.rows)
    state = RunState(
        tasks,
        costs,
        slots,
        grid_cells=len(plan.cells),
        already_done=done,
        outlook=outlook,
        compile_seconds=packing.compile_seconds([task.cells for task in tasks], costs, slots),
    )
    console = None if experiment.options.progress else make_silent_console()
    return Progress(state, console, experiment.store)


def make_task(
    experiment: Experiment, workload: Workload, pack: packing.Pack, record: Mapping[str, Any]
) -> Task:
    """What a worker is handed to train one pack."""
    options, search = experiment.options, experiment.grid.search
    return Task(
        cells=pack,
        results=experiment.store.address,
        evaluation=workload.evaluation,
        grid=record["grid"]["name"],
        run=record["run"],
        commit=record["commit"],
        plugins=experiment.plugins,
        compile=options.compile,
        checkpoint_seconds=options.checkpoint_seconds,
        sends_points=bool(experiment.trackers),
        search_spec=experiment.design.describe_search(pack[0]),
        keeps_state=workload.is_search and search is not None and search.method == "halving",
    )


def write_failed_row(cell: Cell, reason: str, task: Task, store: Store) -> None:
    """Write a failed row for a refused cell, and the reason into its log; a good row stays."""
    row = store.row(cell.id)
    store.write(log_key(cell.id), f"{reason}\n".encode())
    if row is None or row["status"] != "ok":
        write_row(store, task, cell, "failed", {"error": reason})


def replay_results(results: str, trackers: Sequence[str], plugins: Sequence[str]) -> int:
    """Report stored results to trackers; the exit code: 1 if one of them failed."""
    if not trackers:
        raise InputError("--replay needs a tracker, such as --track mlflow")
    load_plugins(plugins)
    store = Store(results)
    store.check_reachable()
    made = make_trackers(trackers, store.address)
    left = replay.replay(store, made)
    for each in left:
        print(f"{len(store.rows())} rows of {results} reported to {each.name}")
    return 0 if len(left) == len(made) else 1


def check_plugin(plugin: str) -> int:
    """Print where models break the contract: those of a file, or one by name; the exit code."""
    if plugin in registry.cards() and not Path(plugin).exists():
        return print_report([plugin])
    (loaded,) = load_plugins([plugin])
    names = [name for name in registry.cards() if registry.find_plugin(name) == loaded]
    if not names:
        raise InputError(
            f"{loaded.name!r} registers no model; expected a class under @register(NAME)"
        )
    return print_report(names)
