"""What the command line asks for: grid -> plan -> launcher -> store."""

import argparse
import json
import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.cli.arguments import grid_keys
from harness.cli.dry_run import show_plan
from harness.data import idx_sets
from harness.evaluation import digit_classifier
from harness.execution.in_process import InProcess
from harness.execution.launcher import Launcher, Resources
from harness.execution.ray_session import import_ray
from harness.execution.ray_tune import RayTune
from harness.execution.shutdown import StopRequest
from harness.experiment import grid, grid_file
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig, make_evaluation_config
from harness.experiment.options import Resume
from harness.monitoring import run_status
from harness.monitoring.display import format_duration
from harness.monitoring.progress import Progress
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.registry import load_plugins
from harness.plugins.source_files import Plugin
from harness.scheduling import mixed_sources, packing, step_timing
from harness.scheduling import plan as planning
from harness.scheduling.plan import Plan
from harness.storage import provenance
from harness.storage.layout import log_key, plugin_key, provenance_key, targets_key
from harness.storage.store import Contents, Store
from harness.training import conformance, step_cost
from harness.training.rows import write_row
from harness.training.task import Task


def run_grid(args: argparse.Namespace) -> int:
    """Plan a grid and run it, or show the plan. All that can be refused is refused before anything
    is written.
    """
    plugins = load_plugins(args.plugin)
    chosen = grid_file.apply_flags(select_grid(args), grid_keys(args), args.models)
    evaluation_config = make_evaluation_config(
        chosen.subset, chosen.iwae, chosen.iwae_on, chosen.samples
    )
    cells = chosen.cells(registry.cards(), evaluation_config.listed_draw)
    evaluation_config.check_cells(cells)
    if args.launcher == "ray":
        registry.refuse_local({cell.model for cell in cells})
    resources = Resources(args.cpus_per_trial, args.gpus_per_trial)
    store = Store(args.results or Path("results") / chosen.name)
    if args.tensorboard:
        store.path("tensorboard")  # its logs grow, which only files can
    store.check_reachable()
    contents = find_rows(store)
    plan = planning.make_plan(cells, contents.rows, evaluation_config, args.resume)
    outdated = planning.check_checkpoints(store, plan.todo) if args.resume != "never" else []
    print_plugin_warnings(plan, plugins, args.resume)
    for name, count in sorted(Counter(cell.model for cell in outdated).items()):
        notice = (
            f"{count} checkpoint{'s are' if count > 1 else ' is'} of another text of its "
            f"plug-in and not gone on from"
        )
        print(f"model '{name}': {notice}", file=sys.stderr)
    sets = {
        name: idx_sets.load(name, args.data)
        for name in sorted({cell.dataset for cell in plan.todo})
    }
    evaluation_config.check_indices(
        {name: (len(contents.test_x), len(contents.train_x)) for name, contents in sets.items()}
    )
    violations = find_violations(plan.todo, evaluation_config)
    refused = {cell: violations[cell.pack_key] for cell in plan.todo if cell.pack_key in violations}
    plan = replace(plan, todo=tuple(cell for cell in plan.todo if cell not in refused))
    if args.dry_run:
        costs = measure_costs(args, plan.todo, sets, evaluation_config, resources)
        slots = 1 if args.launcher == "in-process" else resources.local_slots()
        return show_plan(plan, make_packs(args, plan, costs, slots), costs, slots, refused)
    if not plan.todo and not refused:
        store.prepare()
        store.quarantine(contents.corrupt)
        return finish_run(plan, evaluation_config, store, store.compact())
    if args.launcher == "ray" and plan.todo:
        import_ray(args.address)  # before steps are timed: it would slow them down
    # Ray starts processes and waits for them; steps are timed meanwhile
    with ThreadPoolExecutor(1) as executor:
        costs_future = executor.submit(
            measure_costs, args, plan.todo, sets, evaluation_config, resources
        )
        launcher: Launcher = make_launcher(args, resources) if plan.todo else InProcess(resources)
        costs = costs_future.result()
    store.prepare()
    store.quarantine(contents.corrupt)
    record = start_run(args, chosen, plan, evaluation_config, store, sets, plugins)
    write_failed_rows(
        refused, make_task(args, tuple(refused), evaluation_config, store, record, plugins), store
    )
    tasks = [
        make_task(args, pack, evaluation_config, store, record, plugins)
        for pack in make_packs(args, plan, costs, launcher.slots)
    ]
    already_done = sum(
        plan.rows.get(cell.id, {}).get("status") == "ok"
        for cell in set(plan.cells) - set(plan.todo)
    )
    try:
        if tasks:
            run_progress = Progress(
                tasks,
                costs,
                launcher.slots,
                store=store,
                grid_cells=len(plan.cells),
                already_done=already_done,
            )
            with run_progress as progress, StopRequest() as stop:
                launcher.run(tasks, sets, progress.on_update, stop)
    finally:
        table = store.compact()
    return finish_run(plan, evaluation_config, store, table)


def find_violations(cells: Sequence[Cell], evaluation_config: EvaluationConfig) -> dict[Cell, str]:
    """Why kinds of cells (`Cell.pack_key`) cannot be trained or scored; what is only left empty is
    told.
    """
    kinds = packing.group_by_pack_key(cells)
    for name in sorted({kind.model for kind in kinds if kind.has_bound}):
        if evaluation_config.iwae and not hasattr(registry.lookup(name), "log_weight"):
            print(
                f"model '{name}' has no log_weight: its importance-weighted bounds stay empty",
                file=sys.stderr,
            )
    reasons = {
        kind: conformance.find_violation(group[0], bool(evaluation_config.iwae))
        for kind, group in kinds.items()
    }
    return {kind: reason for kind, reason in reasons.items() if reason is not None}


def measure_costs(
    args: argparse.Namespace,
    cells: Sequence[Cell],
    sets: Mapping[str, Data],
    evaluation_config: EvaluationConfig,
    resources: Resources,
) -> dict[Cell, step_cost.Cost]:
    """What steps and, on CPUs, the scoring of each kind of cells cost, by `Cell.pack_key`."""
    step_costs = step_timing.measure_step_costs(
        cells, sets, evaluation_config.labelled, resources.cpus, resources.gpus > 0, args.compile
    )
    if resources.gpus:
        return step_costs  # what a CPU takes to score tells nothing of a GPU
    score_costs = step_timing.measure_score_costs(cells, sets, evaluation_config, resources.cpus)
    return {kind: replace(cost, score=score_costs[kind]) for kind, cost in step_costs.items()}


def write_failed_rows(refused: Mapping[Cell, str], template: Task, store: Store) -> None:
    """Write failed rows for cells whose model does not fit; a good row stays, and the reason goes
    into the log.
    """
    for cell, reason in refused.items():
        row = store.row(cell.id)
        store.write(log_key(cell.id), f"{reason}\n".encode())
        if row is None or row["status"] != "ok":
            write_row(store, template, cell, "failed", {"error": reason})


def check_plugin(plugin: str) -> int:
    """Load a plug-in and say which promises of the contract its models do not keep."""
    (loaded,) = load_plugins([plugin])
    return conformance.print_report(loaded)


def print_plugin_warnings(plan: Plan, plugins: Sequence[Plugin], resume: Resume) -> None:
    """Say on stderr where plug-ins' texts differ from those of finished cells, and what of plug-ins
    reaches no cell.
    """
    current_plugins = {cell.model: registry.find_plugin(cell.model) for cell in plan.cells}
    lines = mixed_sources.describe_source_changes(
        plan.cells, planning.cells_to_train(plan, resume), plan.rows.values(), current_plugins
    )
    for line in (*registry.describe_unused_changes(plugins), *lines):
        print(line, file=sys.stderr)


def make_launcher(args: argparse.Namespace, resources: Resources) -> Launcher:
    """Ray, or this process."""
    if args.launcher == "in-process":
        return InProcess(resources)
    return RayTune(resources, args.address, args.patience * 60)


def make_packs(
    args: argparse.Namespace, plan: Plan, costs: step_cost.Costs, slots: int
) -> list[packing.Pack]:
    """The cells that are left, packed as the user said or as the slots are best used, longest
    first.
    """
    if args.pack == "auto":
        return packing.balanced_packs(plan.todo, costs, slots)
    return packing.longest_first(packing.fixed_packs(plan.todo, args.pack), costs)


def select_grid(args: argparse.Namespace) -> dict[str, Any]:
    """The keys of the grid that was named, else of --models alone, else of `quick`."""
    if args.grid is None and args.models:
        return {
            "name": "-".join(args.models)[:64],
            "seeds": 3,
            "sweeps": [{"model": name} for name in args.models],
        }
    return grid_file.read(args.grid or "quick")


def start_run(
    args: argparse.Namespace,
    chosen: grid.Grid,
    plan: Plan,
    evaluation_config: EvaluationConfig,
    store: Store,
    sets: Mapping[str, Data],
    plugins: Sequence[Plugin],
) -> dict[str, Any]:
    """Get the judges ready and write down what is about to run; the record, with the run's id."""
    record = {
        "run": f"{provenance.utc_now()[:19].replace(':', '')}-{uuid.uuid4().hex[:6]}",
        "started": provenance.utc_now(),
        "command": provenance.command_line(),
        "grid": chosen.model_dump(),
        "compare_given": bool(chosen.compare.model_fields_set),
        "evaluation": asdict(evaluation_config),
        "cells": len(plan.cells),
        "to_do": len(plan.todo),
        "commit": provenance.git_commit(),
        "versions": provenance.library_versions(),
        "machine": provenance.describe_machine(),
        "data": {name: dataset.checksum for name, dataset in sets.items()},
        "plugins": {plugin.name: plugin.sha256 for plugin in plugins},
    }
    for other in run_status.active_runs(store):
        active_run = (
            f"run {other.run} on {other.host} was at work here "
            f"{format_duration(other.stale_seconds)} ago"
        )
        print(
            f"{active_run}; both may go on: no row is lost, and what both do is done twice",
            file=sys.stderr,
        )
    for plugin in plugins:
        store.write(plugin_key(plugin.sha256), plugin.to_json())
    store.write(provenance_key(str(record["run"])), json.dumps(record, indent=1).encode())
    if args.resume == "never":
        planning.delete_saved_state(store, plan.todo)
    for dataset in sets.values():
        with registry.isolate_model():  # the judge is of no model's
            digit_classifier.provide(store, dataset)
        store.write_classes(targets_key(dataset.name), dataset.test_y.numpy())
    return record


def make_task(
    args: argparse.Namespace,
    pack: tuple[Cell, ...],
    evaluation_config: EvaluationConfig,
    store: Store,
    record: Mapping[str, Any],
    plugins: tuple[Plugin, ...],
) -> Task:
    """What a worker is handed to train one pack."""
    return Task(
        cells=pack,
        results=store.address,
        evaluation=evaluation_config,
        grid=record["grid"]["name"],
        run=record["run"],
        commit=record["commit"],
        plugins=plugins,
        compile=args.compile,
        checkpoint_seconds=args.checkpoint_seconds,
        tensorboard=args.tensorboard,
    )


def find_rows(store: Store) -> Contents:
    """The rows that there are; what is torn is named."""
    contents = store.scan()
    for damage in contents.corrupt.values():
        print(f"damaged: {damage}", file=sys.stderr)
    return contents


def finish_run(
    plan: Plan, evaluation_config: EvaluationConfig, store: Store, table_path: str
) -> int:
    """Say how the grid's cells stand and where the table lies; the exit code."""
    rows = find_rows(store).rows
    missing = [cell for cell in plan.cells if cell.id not in rows]
    row_by_cell = {cell: rows[cell.id] for cell in plan.cells if cell.id in rows}
    failed = [cell for cell, row in row_by_cell.items() if row["status"] != "ok"]
    unscored = [
        cell
        for cell, row in row_by_cell.items()
        if row["status"] == "ok" and not planning.is_fully_scored(cell, row, evaluation_config)
    ]
    names = grid.name_cells(plan.cells)
    for cell in failed:
        print(f"{row_by_cell[cell]['status']}: {names[cell]}: {row_by_cell[cell]['error']}")
    for cell in unscored:
        print(
            f"not scored: {names[cell]}: "
            f"{row_by_cell[cell]['error'] or run_status.read_failure_reason(store, cell.id)}; "
            f"its row is kept"
        )
    for cell in missing:
        print(f"missing: {names[cell]}")
    done = len(plan.cells) - len(failed) - len(missing)
    without_scores = (
        f", {len(unscored)} of them without a score that was asked for" if unscored else ""
    )
    counts = f"{len(failed)} failed, {len(missing)} missing"
    print(
        f"{done} of {len(plan.cells)} cells done{without_scores}, {counts}; results: {table_path}"
    )
    if failed:
        print("why: --log CELL; try the failed ones again with --resume failed")
    return 1 if failed or missing or unscored else 0
