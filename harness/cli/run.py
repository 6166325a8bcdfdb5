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
from harness.execution.shutdown import Stop
from harness.experiment import grid, grid_file
from harness.experiment.cell import Cell
from harness.experiment.evaluation import Evaluation, evaluation
from harness.experiment.options import Resume
from harness.monitoring import run_status
from harness.monitoring.display import clock
from harness.monitoring.progress import Progress
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.registry import load_plugins
from harness.plugins.source_files import Plugin
from harness.scheduling import mixed_sources, packing, step_timing
from harness.scheduling import plan as planning
from harness.scheduling.plan import Plan
from harness.storage import provenance
from harness.storage.layout import log_key
from harness.storage.store import Found, Store
from harness.training import conformance, step_cost
from harness.training.rows import write_row
from harness.training.task import Task


def bench(args: argparse.Namespace) -> int:
    """Plan a grid and run it, or show the plan. All that can be refused is refused before anything
    is written.
    """
    plugins = load_plugins(args.plugin)
    chosen = grid_file.overlaid(named_grid(args), grid_keys(args), args.models)
    scores = evaluation(chosen.subset, chosen.iwae, chosen.iwae_on, chosen.samples)
    cells = chosen.cells(registry.cards(), scores.listed_draw)
    scores.check(cells)
    if args.launcher == "ray":
        registry.refuse_local({cell.model for cell in cells})
    resources = Resources(args.cpus_per_trial, args.gpus_per_trial)
    store = Store(args.results or Path("results") / chosen.name)
    if args.tensorboard:
        store.path("tensorboard")  # its logs grow, which only files can
    store.reach()
    found = look(store)
    plan = planning.make(cells, found.rows, scores, args.resume)
    others = planning.check_files(store, plan.todo) if args.resume != "never" else []
    tell_texts(plan, plugins, args.resume)
    for name, count in sorted(Counter(cell.model for cell in others).items()):
        what = (
            f"{count} checkpoint{'s are' if count > 1 else ' is'} of another text of its "
            f"plug-in and not gone on from"
        )
        print(f"model '{name}': {what}", file=sys.stderr)
    sets = {
        name: idx_sets.load(name, args.data)
        for name in sorted({cell.dataset for cell in plan.todo})
    }
    scores.check_indices(
        {name: (len(found.test_x), len(found.train_x)) for name, found in sets.items()}
    )
    misfits = find_misfits(plan.todo, scores)
    refused = {cell: misfits[cell.pack_key] for cell in plan.todo if cell.pack_key in misfits}
    plan = replace(plan, todo=tuple(cell for cell in plan.todo if cell not in refused))
    if args.dry_run:
        costs = measured(args, plan.todo, sets, scores, resources)
        slots = 1 if args.launcher == "in-process" else resources.slots_here()
        return show_plan(plan, packs(args, plan, costs, slots), costs, slots, refused)
    if not plan.todo and not refused:
        store.prepare()
        store.set_aside(found.torn)
        return end(plan, scores, store, store.compact())
    if args.launcher == "ray" and plan.todo:
        import_ray(args.address)  # before steps are timed: it would slow them down
    # Ray starts processes and waits for them; steps are timed meanwhile
    with ThreadPoolExecutor(1) as beside:
        timed = beside.submit(measured, args, plan.todo, sets, scores, resources)
        launcher: Launcher = launcher_for(args, resources) if plan.todo else InProcess(resources)
        costs = timed.result()
    store.prepare()
    store.set_aside(found.torn)
    record = begin(args, chosen, plan, scores, store, sets, plugins)
    refuse(refused, task(args, tuple(refused), scores, store, record, plugins), store)
    tasks = [
        task(args, pack, scores, store, record, plugins)
        for pack in packs(args, plan, costs, launcher.slots)
    ]
    before = sum(
        plan.rows.get(cell.id, {}).get("status") == "ok"
        for cell in set(plan.cells) - set(plan.todo)
    )
    try:
        if tasks:
            work = Progress(
                tasks, costs, launcher.slots, store=store, asked=len(plan.cells), before=before
            )
            with work as progress, Stop() as stop:
                launcher.run(tasks, sets, progress.watch, stop)
    finally:
        table = store.compact()
    return end(plan, scores, store, table)


def find_misfits(cells: Sequence[Cell], scores: Evaluation) -> dict[Cell, str]:
    """Why kinds of cells (`Cell.pack_key`) cannot be trained or scored; what is only left empty is
    told.
    """
    kinds = packing.kinds(cells)
    for name in sorted({kind.model for kind in kinds if kind.has_bound}):
        if scores.iwae and not hasattr(registry.lookup(name), "log_weight"):
            print(
                f"model '{name}' has no log_weight: its importance-weighted bounds stay empty",
                file=sys.stderr,
            )
    found = {kind: conformance.misfit(group[0], bool(scores.iwae)) for kind, group in kinds.items()}
    return {kind: reason for kind, reason in found.items() if reason is not None}


def measured(
    args: argparse.Namespace,
    cells: Sequence[Cell],
    sets: Mapping[str, Data],
    scores: Evaluation,
    resources: Resources,
) -> dict[Cell, step_cost.Cost]:
    """What steps and, on CPUs, the scoring of each kind of cells cost, by `Cell.pack_key`."""
    steps = step_timing.costs(
        cells, sets, scores.labelled, resources.cpus, resources.gpus > 0, args.compile
    )
    if resources.gpus:
        return steps  # what a CPU takes to score tells nothing of a GPU
    scoring = step_timing.score_costs(cells, sets, scores, resources.cpus)
    return {kind: replace(cost, score=scoring[kind]) for kind, cost in steps.items()}


def refuse(refused: Mapping[Cell, str], of: Task, store: Store) -> None:
    """Write failed rows for cells whose model does not fit; a good row stays, and the reason goes
    into the log.
    """
    for cell, reason in refused.items():
        row = store.row(cell.id)
        store.write(log_key(cell.id), f"{reason}\n".encode())
        if row is None or row["status"] != "ok":
            write_row(store, of, cell, "failed", {"error": reason})


def check(plugin: str) -> int:
    """Load a plug-in and say which promises of the contract its models do not keep."""
    (loaded,) = load_plugins([plugin])
    return conformance.report(loaded)


def tell_texts(plan: Plan, plugins: Sequence[Plugin], resume: Resume) -> None:
    """Say on stderr where plug-ins' texts differ from those of finished cells, and what of plug-ins
    reaches no cell.
    """
    present = {cell.model: registry.plugin(cell.model) for cell in plan.cells}
    lines = mixed_sources.told(
        plan.cells, planning.fresh(plan, resume), plan.rows.values(), present
    )
    for line in (*registry.unheard(plugins), *lines):
        print(line, file=sys.stderr)


def launcher_for(args: argparse.Namespace, resources: Resources) -> Launcher:
    """Ray, or this process."""
    if args.launcher == "in-process":
        return InProcess(resources)
    return RayTune(resources, args.address, args.patience * 60)


def packs(
    args: argparse.Namespace, plan: Plan, costs: step_cost.Costs, slots: int
) -> list[packing.Pack]:
    """The cells that are left, packed as the user said or as the slots are best used, longest
    first.
    """
    if args.pack == "auto":
        return packing.balanced(plan.todo, costs, slots)
    return packing.longest_first(packing.of_size(plan.todo, args.pack), costs)


def named_grid(args: argparse.Namespace) -> dict[str, Any]:
    """The keys of the grid that was named, else of --models alone, else of `quick`."""
    if args.grid is None and args.models:
        return {
            "name": "-".join(args.models)[:64],
            "seeds": 3,
            "sweeps": [{"model": name} for name in args.models],
        }
    return grid_file.read(args.grid or "quick")


def begin(
    args: argparse.Namespace,
    chosen: grid.Grid,
    plan: Plan,
    scores: Evaluation,
    store: Store,
    sets: Mapping[str, Data],
    plugins: Sequence[Plugin],
) -> dict[str, Any]:
    """Get the judges ready and write down what is about to run; the record, with the run's id."""
    record = {
        "run": f"{provenance.now()[:19].replace(':', '')}-{uuid.uuid4().hex[:6]}",
        "started": provenance.now(),
        "command": provenance.command(),
        "grid": chosen.model_dump(),
        "compare_given": bool(chosen.compare.model_fields_set),
        "evaluation": asdict(scores),
        "cells": len(plan.cells),
        "to_do": len(plan.todo),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "data": {name: found.checksum for name, found in sets.items()},
        "plugins": {plugin.name: plugin.sha256 for plugin in plugins},
    }
    for other in run_status.active(store):
        who = f"run {other.run} on {other.host} was at work here {clock(other.silent)} ago"
        print(
            f"{who}; both may go on: no row is lost, and what both do is done twice",
            file=sys.stderr,
        )
    for plugin in plugins:
        store.write(plugin.key, plugin.content())
    store.write(f"provenance/{record['run']}.json", json.dumps(record, indent=1).encode())
    if args.resume == "never":
        planning.forget(store, plan.todo)
    for found in sets.values():
        with registry.room():  # the judge is of no model's
            digit_classifier.provide(store, found)
        store.write_classes(f"targets/{found.name}.npy", found.test_y.numpy())
    return record


def task(
    args: argparse.Namespace,
    pack: tuple[Cell, ...],
    scores: Evaluation,
    store: Store,
    record: Mapping[str, Any],
    plugins: tuple[Plugin, ...],
) -> Task:
    """What a worker is handed to train one pack."""
    return Task(
        cells=pack,
        results=store.address,
        evaluation=scores,
        grid=record["grid"]["name"],
        run=record["run"],
        commit=record["commit"],
        plugins=plugins,
        compile=args.compile,
        checkpoint_seconds=args.checkpoint_seconds,
        tensorboard=args.tensorboard,
    )


def look(store: Store) -> Found:
    """The rows that there are; what is torn is named."""
    found = store.find()
    for told in found.torn.values():
        print(f"damaged: {told}", file=sys.stderr)
    return found


def end(plan: Plan, scores: Evaluation, store: Store, table: str) -> int:
    """Say how the grid's cells stand and where the table lies; the exit code."""
    rows = look(store).rows
    missing = [cell for cell in plan.cells if cell.id not in rows]
    held = {cell: rows[cell.id] for cell in plan.cells if cell.id in rows}
    failed = [cell for cell, row in held.items() if row["status"] != "ok"]
    unscored = [
        cell
        for cell, row in held.items()
        if row["status"] == "ok" and not planning.scored(cell, row, scores)
    ]
    names = grid.names(plan.cells)
    for cell in failed:
        print(f"{held[cell]['status']}: {names[cell]}: {held[cell]['error']}")
    for cell in unscored:
        print(
            f"not scored: {names[cell]}: "
            f"{held[cell]['error'] or run_status.last_words(store, cell.id)}; its row is kept"
        )
    for cell in missing:
        print(f"missing: {names[cell]}")
    done = len(plan.cells) - len(failed) - len(missing)
    lacking = f", {len(unscored)} of them without a score that was asked for" if unscored else ""
    counts = f"{len(failed)} failed, {len(missing)} missing"
    print(f"{done} of {len(plan.cells)} cells done{lacking}, {counts}; results: {table}")
    if failed:
        print("why: --log CELL; try the failed ones again with --resume failed")
    return 1 if failed or missing or unscored else 0
