"""The flags of the command line and the page that --help prints."""

import argparse
import math
from typing import Any, Literal, NoReturn

from harness.cli.options import GRID_FLAGS, RunOptions
from harness.errors import InputError
from harness.experiment.cell import BATCH_SIZE, LEARNING_RATE
from harness.experiment.grid import DEFAULT_SAMPLES
from harness.experiment.metrics import IWAE_SAMPLES
from harness.experiment.options import COMPILE_CHOICES, RESUME_CHOICES
from harness.program import command_of

DESCRIPTION = """\
Train and score a grid of generative models, seeds × models × β, as Ray Tune trials.
Every finished cell is one row of RESULTS/results.parquet."""

EPILOG = """\
examples:
  {command}                                the shipped grid `quick`
  {command} report --subset subset.json    the source report, with its evaluation set
  {command} --models vae --betas 1 2 4 --seeds 5 --iterations 2000
  {command} mine.yaml --plugin model.py    your own grid and model
  {command} beta --dry-run                 the plan with its estimated time
  {command} --status results/beta          the progress, from any machine

The same command again runs only what is missing. Exit code 0: every cell is done; 1: some cells
failed (their rows give the reason), or the storage of the results failed; 2: bad input (one line
says what was wrong, and nothing is written)."""


class Parser(argparse.ArgumentParser):
    """A parser that reports a bad flag in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise InputError(f"{message}; see --help")


def make_parser() -> Parser:
    """All flags, in groups."""
    form = argparse.RawDescriptionHelpFormatter
    command = command_of("harness/bench.py")
    p = Parser(
        usage=f"{command} [GRID] [flags]",
        description=DESCRIPTION,
        epilog=EPILOG.format(command=command),
        formatter_class=form,
        allow_abbrev=False,
    )
    flag = p.add_argument
    flag(
        "grid",
        nargs="?",
        metavar="GRID",
        help="a shipped grid or a YAML file (default: quick, or --models alone)",
    )
    flag(
        "--list",
        action="store_true",
        help="list the shipped grids, the models and the data sets, and exit",
    )
    flag(
        "--check",
        metavar="FILE",
        help="check the models of a plug-in against the contract, and exit",
    )
    flag(
        "--dry-run",
        action="store_true",
        help="print the cells, the packs, what is done and the estimated time, and exit",
    )
    _add_status_flags(p)
    _add_grid_flags(p)
    _add_scoring_flags(p)
    _add_execution_flags(p)
    return p


def _add_status_flags(p: Parser) -> None:
    flag = p.add_argument_group(
        "monitoring, from any machine that can read the results"
    ).add_argument
    flag(
        "--status",
        metavar="RESULTS",
        help="print the progress of the runs; exit code 1: cells failed or missing, or no news",
    )
    flag("--follow", action="store_true", help="with --status: update the view until the run ends")
    flag(
        "--log",
        metavar="CELL",
        help="print the last output of a failed cell of --results (id or name)",
    )


def make_options(args: argparse.Namespace) -> RunOptions:
    """The parsed flags as the options of a run."""
    return RunOptions(
        grid=args.grid,
        models=tuple(args.models or ()),
        grid_keys=_grid_keys(args),
        plugins=tuple(args.plugin),
        results=args.results,
        data=args.data,
        dry_run=args.dry_run,
        resume=args.resume,
        pack_size=args.pack,
        compile=args.compile,
        cpus=args.cpus_per_trial,
        gpus=args.gpus_per_trial,
        launcher=args.launcher,
        address=args.address,
        checkpoint_seconds=args.checkpoint_seconds,
        patience_seconds=args.patience * 60,
        trackers=tuple(args.tracker),
    )


def _grid_keys(args: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given and are keys of a grid, by key."""
    values = {key: getattr(args, flag) for flag, key in GRID_FLAGS.items()}
    return {key: value for key, value in values.items() if value is not None}


def _parse_recipe_pair(text: str) -> tuple[str, float | str]:
    """One of the values of --recipe: `clip=1` gives ("clip", 1.0)."""
    key, separator, value = text.partition("=")
    if not (key and separator and value):
        raise argparse.ArgumentTypeError(f"{text}: expected KEY=VALUE")
    try:
        return key, float(value)
    except ValueError:
        return key, value


class _CollectPairs(argparse.Action):
    """Stores pairs as a dict with a list of values for each key."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """`values` are pairs of a key and a value."""
        by_key: dict[str, list[Any]] = {}
        for key, value in values:
            by_key.setdefault(key, []).append(value)
        setattr(namespace, self.dest, by_key)


def _parse_pack(text: str) -> int | Literal["auto"]:
    """The value of --pack."""
    if text == "auto":
        return "auto"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected auto or at least 1 cell")


def _parse_minutes(text: str) -> float:
    """The value of --patience, minutes."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if minutes > 0:
        return minutes
    raise argparse.ArgumentTypeError(f"{text}: expected a number of minutes above 0")


def _add_grid_flags(p: Parser) -> None:
    flag = p.add_argument_group("what to run (overrides the grid)").add_argument
    flag(
        "--models",
        nargs="+",
        metavar="NAME",
        help="only these models; a model that is not in the grid is added",
    )
    flag("--betas", nargs="+", type=float, metavar="β", help="weights of the KL in the loss")
    flag("--seeds", type=int, metavar="N", help="seeds 0 to N-1")
    flag(
        "--iterations",
        type=int,
        metavar="N",
        help="optimiser steps (default: each model's full length)",
    )
    dataset_help = (
        "data sets by name (see --list), or paths of your own: .npz, .npy, a folder of images, "
        "hf:NAME, latents:RESULTS/CELL"
    )
    flag("--dataset", "--data-set", nargs="+", metavar="NAME|PATH", help=dataset_help)
    rates = f"of the optimiser (default: {LEARNING_RATE:g})"
    flag("--learning-rate", nargs="+", type=float, metavar="RATE", help=rates)
    sizes = f"images in a step (default: {BATCH_SIZE})"
    flag("--batch-size", nargs="+", type=int, metavar="N", help=sizes)
    flag(
        "--labels",
        nargs="+",
        type=int,
        metavar="N",
        help="label budgets of the models that use labels",
    )
    recipe_help = (
        "keys of the recipe of training, such as optimizer=adamw clip=1 ema=0.999; a key that is "
        "given twice has both values"
    )
    flag(
        "--recipe",
        nargs="+",
        type=_parse_recipe_pair,
        action=_CollectPairs,
        metavar="KEY=VALUE",
        help=recipe_help,
    )
    flag(
        "--validation",
        type=int,
        metavar="N",
        help="training images that are held out for validation (default: 0)",
    )
    draws = (
        "which images are labelled: seed (another draw for each seed), draw-N (one draw for all "
        "seeds), subset (listed in the file of --subset)"
    )
    flag("--label-draw", metavar="WAY", help=draws)
    plugin_help = (
        "your own models: a Python file, a folder of modules that import each other, or a package"
    )
    flag("--plugin", action="append", default=[], metavar="FILE|FOLDER", help=plugin_help)


def _add_scoring_flags(p: Parser) -> None:
    flag = p.add_argument_group("scoring").add_argument
    flag(
        "--subset",
        metavar="FILE",
        help="JSON list of the test images that the subset_* columns score",
    )
    draws = ", ".join(map(str, IWAE_SAMPLES))
    flag(
        "--iwae",
        nargs="+",
        type=int,
        metavar="K",
        help=f"importance-weighted bounds with K draws, such as {draws}",
    )
    optional = "optional metrics, by name (--list prints them); those of plug-ins need no flag"
    flag("--metrics", nargs="+", metavar="NAME", help=optional)
    samples_help = (
        f"prior samples whose classes are counted (default: {DEFAULT_SAMPLES:,}; use fewer if "
        "sampling is slow)"
    )
    flag("--samples", type=int, metavar="N", help=samples_help)
    sets = (
        "images of these bounds (default: the subset if given, else the test set; 1000 draws on "
        "the test set take minutes per cell)"
    )
    flag("--iwae-on", nargs="+", choices=["test", "subset"], help=sets)


def _add_execution_flags(p: Parser) -> None:
    flag = p.add_argument_group("execution").add_argument
    place = "results folder, or s3://BUCKET/PATH or gs://BUCKET/PATH (default: results/GRID)"
    flag("--results", metavar="PLACE", help=place)
    flag(
        "--data",
        metavar="DIR",
        help="use the data files in this folder, offline (default: download once into a cache)",
    )
    resume = (
        "missing (default): run cells without a row; failed: run only failed cells; always: both; "
        "never: run every cell again"
    )
    flag("--resume", choices=RESUME_CHOICES, default="missing", help=resume)
    size = (
        "cells trained together in one trial; auto (default): a size that keeps all CPUs or GPUs "
        "busy to the end"
    )
    flag("--pack", type=_parse_pack, default="auto", metavar="N", help=size)
    compile_help = (
        "auto (default): if a training has 500 steps or more, on CPUs with a C++ compiler; "
        "always; never"
    )
    flag("--compile", choices=COMPILE_CHOICES, default="auto", help=compile_help)
    flag(
        "--cpus-per-trial",
        type=int,
        default=1,
        metavar="N",
        help="CPU threads per trial (default: 1)",
    )
    flag(
        "--gpus-per-trial",
        type=float,
        default=0.0,
        metavar="F",
        help="GPUs per trial, may be a fraction (default: 0)",
    )
    flag(
        "--address",
        metavar="ADDRESS",
        help="Ray cluster: auto or ray://HOST:PORT (default: this machine)",
    )
    flag(
        "--launcher",
        choices=["ray", "in-process"],
        default="ray",
        help="in-process: one trial after another, without Ray",
    )
    flag(
        "--checkpoint-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds between checkpoints (default: 60)",
    )
    patience = "end the run after this many minutes without news from any trial (default: 30)"
    flag("--patience", type=_parse_minutes, default=30.0, metavar="MIN", help=patience)
    tracker_help = "report the run elsewhere: tensorboard, or a tracker of a plug-in"
    flag("--tracker", action="append", default=[], metavar="NAME", help=tracker_help)
    flag(
        "--tensorboard",
        action="append_const",
        const="tensorboard",
        dest="tracker",
        help="write TensorBoard logs to RESULTS/tensorboard",
    )
