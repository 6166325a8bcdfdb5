"""The command line: grid -> plan -> launcher -> store."""

import argparse
import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from harness import data, grid, judge, provenance, registry
from harness import plan as planning
from harness.engine import key
from harness.errors import BadInput
from harness.evaluation import Evaluation, evaluation
from harness.launch import InProcess, RayTune, Resources
from harness.plan import RESUME, Plan
from harness.progress import Progress, clock
from harness.store import Store
from harness.trial import Task

EPILOG = """\
examples:
  python harness/bench.py                                    the shipped grid `quick`
  python harness/bench.py report --subset subset.json        the source report, with its evaluation set
  python harness/bench.py --models vae --betas 1 2 4 --seeds 5 --iterations 2000 --results results/mine
  python harness/bench.py mine.yaml --plugin my_model.py     a grid and a model of your own
  python harness/bench.py beta --dry-run                     what would run, what is done, how long it takes

Running the same command again does only what is missing. Exit code 0: every cell is done; 1: some failed, each a row
with its reason; 2: bad input, told in one line, nothing touched."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage."""
        raise BadInput(f"{message}; see --help")


def parser() -> Parser:
    """The flags, with the page that --help prints."""
    p = Parser(
        prog="python harness/bench.py",
        description="Train and score a grid of generative models: seeds × models × β, one row a cell in a parquet table.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument(
        "grid", nargs="?", metavar="GRID", help="a shipped grid or a YAML file (default: quick, or --models alone)"
    )
    p.add_argument("--list", action="store_true", help="print the shipped grids, the models and the data sets, and end")
    p.add_argument(
        "--dry-run", action="store_true", help="print the cells, the packs, what is done and the time it takes"
    )

    g = p.add_argument_group("what to run (laid over the grid)")
    g.add_argument(
        "--models", nargs="+", metavar="NAME", help="these models only; one that the grid lacks is added to it"
    )
    g.add_argument("--betas", nargs="+", type=float, metavar="β", help="weights of the KL in the loss")
    g.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N-1")
    g.add_argument("--iterations", type=int, metavar="N", help="optimiser steps (default: each model's full length)")
    g.add_argument("--dataset", metavar="NAME", help=", ".join(grid.DATASETS))
    g.add_argument("--labels", nargs="+", type=int, metavar="N", help="label budgets of the models that use labels")
    g.add_argument("--label-draw", metavar="WAY", help="labelled images: seed (drawn by each seed), draw-N (one draw for all), "
                   "subset (the list in the --subset file)")  # fmt: skip
    g.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file that registers your own model"
    )

    s = p.add_argument_group("scoring")
    s.add_argument("--subset", metavar="FILE", help="JSON list of test images for the columns subset_*")
    s.add_argument(
        "--iwae", nargs="+", type=int, metavar="K", help="importance-weighted bounds of K draws: 10, 100, 1000"
    )
    s.add_argument("--iwae-on", nargs="+", choices=["test", "subset"], help="over which images (default: the subset if given, "
                   "else the test set; 1000 draws there take minutes a cell)")  # fmt: skip

    w = p.add_argument_group("where and how")
    w.add_argument("--results", metavar="DIR", help="results folder (default: results/GRID)")
    w.add_argument(
        "--data",
        metavar="DIR",
        help="use the data files in this folder, offline (default: fetch once, keep in a cache)",
    )
    w.add_argument("--resume", choices=RESUME, default="missing", help="missing (default): cells without a row; failed: "
                   "failed cells alone; always: both; never: everything anew")  # fmt: skip
    w.add_argument("--pack", type=int, default=1, metavar="N", help="cells trained together in one trial (default: 1)")
    w.add_argument("--cpus-per-trial", type=int, default=1, metavar="N", help="CPU threads of a trial (default: 1)")
    w.add_argument(
        "--gpus-per-trial", type=float, default=0.0, metavar="F", help="GPUs of a trial, fractions too (default: 0)"
    )
    w.add_argument(
        "--address", metavar="ADDRESS", help="a Ray cluster: auto or ray://HOST:PORT (default: this machine)"
    )
    w.add_argument(
        "--launcher", choices=["ray", "in-process"], default="ray", help="in-process: one after another, without Ray"
    )
    w.add_argument(
        "--checkpoint-seconds", type=float, default=60.0, metavar="S", help="seconds between checkpoints (default: 60)"
    )
    w.add_argument("--tensorboard", action="store_true", help="write TensorBoard logs to DIR/tensorboard")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        args = parser().parse_args(argv)
        return show_list() if args.list else bench(args)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: finished cells are kept; the same command goes on from here", file=sys.stderr)
        return 130


def bench(args: argparse.Namespace) -> int:
    """Plan a grid and run it, or show the plan."""
    plugins = registry.read_sources(args.plugin)
    for name, source in plugins.items():
        registry.load_source(name, source)
    chosen = grid.overlaid(chosen_grid(args), flags(args), args.models)
    scores = evaluation(chosen.subset, chosen.iwae, chosen.iwae_on)
    cells = chosen.cells(registry.cards(), scores.listed_draw)
    scores.check(cells)
    store = Store(args.results or Path("results") / chosen.name)
    plan = planning.make(cells, store.rows(), scores, args.resume, args.pack)
    if args.resume != "never":
        planning.check_files(store, plan.todo)
    sets = {name: data.load(name, args.data) for name in sorted({cell.dataset for cell in plan.todo})}
    scores.check_indices({name: (len(found.test_x), len(found.train_x)) for name, found in sets.items()})
    costs = planning.step_seconds(plan, sets, scores.labelled, args.cpus_per_trial)
    if args.dry_run:
        return show_plan(plan, costs)
    resources = Resources(args.cpus_per_trial, args.gpus_per_trial)
    store.prepare()
    run = begin(args, chosen, plan, scores, store, sets)
    tasks = [
        Task(
            cells=pack,
            results=str(store.root),
            evaluation=scores,
            data_folder=args.data and str(Path(args.data).absolute()),
            grid=chosen.name,
            run=run,
            commit=provenance.commit(),
            plugins=plugins,
            threads=args.cpus_per_trial,
            checkpoint_seconds=args.checkpoint_seconds,
            tensorboard=args.tensorboard,
        )
        for pack in plan.packs
    ]
    try:
        if tasks:
            launcher = InProcess() if args.launcher == "in-process" else RayTune(resources, args.address)
            with Progress(tasks, costs, launcher.slots) as progress:
                launcher.run(tasks, progress.watch)
    finally:
        table = store.compact()
    return end(plan, store, table)


def chosen_grid(args: argparse.Namespace) -> dict[str, Any]:
    """The grid's keys: the named one's, `quick`'s, or with --models alone those of an empty one."""
    if args.grid is None and args.models:
        return {"name": "-".join(args.models)[:64], "seeds": 3, "sweeps": [{"model": name} for name in args.models]}
    return grid.read(args.grid or "quick")


def flags(args: argparse.Namespace) -> dict[str, Any]:
    """The flags that are grid keys, by key."""
    keys = {"beta": args.betas, "seeds": args.seeds, "iterations": args.iterations, "dataset": args.dataset}
    keys |= {"labels": args.labels, "label_draw": args.label_draw}
    keys |= {"subset": args.subset, "iwae": args.iwae, "iwae_on": args.iwae_on}
    return {key: value for key, value in keys.items() if value is not None}


def begin(
    args: argparse.Namespace,
    chosen: grid.Grid,
    plan: Plan,
    scores: Evaluation,
    store: Store,
    sets: dict[str, data.Data],
) -> str:
    """Write down what is about to run, get the judges ready, and give the run its id."""
    run = f"{provenance.now()[:19].replace(':', '')}-{uuid.uuid4().hex[:6]}"
    record = {
        "run": run,
        "started": provenance.now(),
        "command": provenance.command(),
        "grid": chosen.model_dump(),
        "evaluation": asdict(scores),
        "cells": len(plan.cells),
        "to_do": len(plan.todo),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "data": {name: found.checksum for name, found in sets.items()},
        "plugins": args.plugin,
    }
    store.write(f"provenance/{run}.json", json.dumps(record, indent=1).encode())
    if args.resume == "never":
        planning.forget(store, plan.todo)
    for found in sets.values():
        judge.provide(store, found)
    return run


def end(plan: Plan, store: Store, table: Path) -> int:
    """Say how the grid's cells stand and where the table lies; the exit code."""
    rows = store.rows()
    bad = [(cell, rows.get(cell.id)) for cell in plan.cells if (rows.get(cell.id) or {}).get("status") != "ok"]
    for cell, row in bad:
        print(f"{row['status'] if row else 'missing'}: {cell}: {row['error'] if row else 'no row was written'}")
    print(f"{len(plan.cells) - len(bad)} of {len(plan.cells)} cells done, {len(bad)} failed; results: {table}")
    if bad:
        print("try the failed ones again with --resume failed")
    return 1 if bad else 0


def show_plan(plan: Plan, costs: dict[grid.Cell, float]) -> int:
    """Print the packs, what is done already and the time that the rest takes."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for column in ("cell", "what", "steps", "pack", "time"):
        table.add_column(column, justify="right" if column in ("steps", "pack", "time") else "left", no_wrap=True)
    places = {cell: number for number, pack in enumerate(plan.packs, 1) for cell in pack}
    for cell in plan.cells:
        row = plan.rows.get(cell.id)
        left = clock(costs[key(cell)] * cell.iterations) if cell in places else (row or {}).get("status", "left out")
        table.add_row(cell.id, str(cell), f"{cell.iterations:,}", str(places.get(cell, "")), left)
    console.print(table, soft_wrap=True)
    work = sum(costs[key(cell)] * cell.iterations for cell in plan.todo)
    console.print(
        f"{len(plan.cells)} cells, {len(plan.cells) - len(plan.todo)} done or left out, {len(plan.todo)} to do in "
        f"{len(plan.packs)} packs: about {clock(work)} of training on one such slot, measured here; scoring comes on top",
        soft_wrap=True,
    )
    return 0


def show_list() -> int:
    """Print the shipped grids, the registered models and the data sets."""
    console = Console(highlight=False, soft_wrap=True)
    cards = registry.cards()
    console.print("grids:")
    for name in grid.shipped():
        found = grid.validate(grid.read(name))
        console.print(f"  {name:<14}{len(found.cells(cards)):>4} cells  {found.title}")
    console.print("models:")
    for name, card in cards.items():
        settings = ", ".join(f"{setting}={value}" for setting, value in card.defaults.items())
        console.print(f"  {name:<14}{card.iterations:>6,} steps  {settings}  ({', '.join(card.supervisions)})")
        console.print(f"  {'':<14}{card.story}")
    console.print(f"data sets: {', '.join(grid.DATASETS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
