"""The flags of the command line and the page that --help prints."""

import argparse
import math
from typing import Any, Literal, NoReturn

from harness.cli.options import RunOptions
from harness.errors import InputError
from harness.experiment.grid import DEFAULT_SAMPLES
from harness.experiment.metrics import IWAE_SAMPLES
from harness.experiment.options import COMPILE_CHOICES, RESUME_CHOICES

DESCRIPTION = """\
Train and score a grid of generative models, seeds × models × β, as Ray Tune trials.
Every finished cell is one row of RESULTS/results.parquet."""

EPILOG = """\
examples:
  python harness/bench.py                                the shipped grid `quick`
  python harness/bench.py report --subset subset.json    the source report, with its evaluation set
  python harness/bench.py --models vae --betas 1 2 4 --seeds 5 --iterations 2000
  python harness/bench.py mine.yaml --plugin model.py    a grid and a model of your own
  python harness/bench.py beta --dry-run                 what would run, what is done, how long it takes
  python harness/bench.py --status results/beta          how it stands, from any machine

Running the same command again does only what is missing. Exit code 0: every cell is done; 1: some
failed, each a row with its reason, or the results' storage gave up; 2: bad input, told in one line, nothing touched."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage."""
        raise InputError(f"{message}; see --help")


def make_parser() -> Parser:
    """All flags, in groups."""
    form = argparse.RawDescriptionHelpFormatter
    usage = "python harness/bench.py [GRID] [flags]"
    p = Parser(
        usage=usage,
        description=DESCRIPTION,
        epilog=EPILOG,
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
        help="print the shipped grids, the models and the data sets, and end",
    )
    flag(
        "--check",
        metavar="FILE",
        help="check the models of a plug-in against the contract, and end",
    )
    flag(
        "--dry-run",
        action="store_true",
        help="print the cells, the packs, what is done and the time it takes",
    )
    _add_status_flags(p)
    _add_grid_flags(p)
    _add_scoring_flags(p)
    _add_execution_flags(p)
    return p


def _add_status_flags(p: Parser) -> None:
    flag = p.add_argument_group("watching, from any machine that sees the results").add_argument
    flag(
        "--status",
        metavar="RESULTS",
        help="print how the runs there stand: 0 well, 1 failed, missing or silent",
    )
    flag("--follow", action="store_true", help="with --status: a live view until the run ends")
    flag(
        "--log",
        metavar="CELL",
        help="print what a failed cell of --results said last, by its id or name",
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
        tensorboard=args.tensorboard,
    )


def _grid_keys(args: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given and are keys of a grid, by key."""
    grid_names = ("seeds", "iterations", "dataset", "labels", "label_draw")
    scoring_names = ("subset", "iwae", "iwae_on", "samples")
    keys = {"beta": args.betas}
    keys |= {name: getattr(args, name) for name in (*grid_names, *scoring_names)}
    return {key: value for key, value in keys.items() if value is not None}


def _parse_pack(text: str) -> int | Literal["auto"]:
    """What --pack was given."""
    if text == "auto":
        return "auto"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected auto or at least 1 cell")


def _parse_minutes(text: str) -> float:
    """What --patience was given."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if minutes > 0:
        return minutes
    raise argparse.ArgumentTypeError(f"{text}: expected a number of minutes above 0")


def _add_grid_flags(p: Parser) -> None:
    flag = p.add_argument_group("what to run, laid over the grid").add_argument
    flag(
        "--models",
        nargs="+",
        metavar="NAME",
        help="these models only; one that the grid lacks is added to it",
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
        "hf:NAME"
    )
    flag("--dataset", nargs="+", metavar="NAME|PATH", help=dataset_help)
    flag(
        "--labels",
        nargs="+",
        type=int,
        metavar="N",
        help="label budgets of the models that use labels",
    )
    draws = (
        "labelled images: seed (each seed its own), draw-N (one draw for all), subset "
        "(listed in --subset's file)"
    )
    flag("--label-draw", metavar="WAY", help=draws)
    plugin_help = (
        "models of your own: a Python file, a folder of modules that import each other, or a "
        "package"
    )
    flag("--plugin", action="append", default=[], metavar="FILE|FOLDER", help=plugin_help)


def _add_scoring_flags(p: Parser) -> None:
    flag = p.add_argument_group("scoring").add_argument
    flag("--subset", metavar="FILE", help="JSON list of test images for the columns subset_*")
    draws = ", ".join(map(str, IWAE_SAMPLES))
    flag(
        "--iwae",
        nargs="+",
        type=int,
        metavar="K",
        help=f"importance-weighted bounds of K draws: {draws}",
    )
    samples_help = (
        f"samples of the prior that digits are counted in (default: {DEFAULT_SAMPLES:,}; fewer for "
        f"a slow sampler)"
    )
    flag("--samples", type=int, metavar="N", help=samples_help)
    sets = (
        "over which images (default: the subset if given, else the test set, where 1000 draws "
        "take minutes a cell)"
    )
    flag("--iwae-on", nargs="+", choices=["test", "subset"], help=sets)


def _add_execution_flags(p: Parser) -> None:
    flag = p.add_argument_group("where and how").add_argument
    place = "results folder, or s3://BUCKET/PATH or gs://BUCKET/PATH (default: results/GRID)"
    flag("--results", metavar="PLACE", help=place)
    flag(
        "--data",
        metavar="DIR",
        help="use the data files in this folder, offline (default: fetch once into a cache)",
    )
    resume = (
        "missing (default): cells without a row; failed: those alone; always: both; never: "
        "everything anew"
    )
    flag("--resume", choices=RESUME_CHOICES, default="missing", help=resume)
    size = (
        "cells trained together in one trial, or auto (default): what keeps all CPUs or GPUs "
        "at work to the end"
    )
    flag("--pack", type=_parse_pack, default="auto", metavar="N", help=size)
    compile_help = (
        "auto (default): trainings of 500 steps and more, on CPUs with a C++ compiler; "
        "always; never"
    )
    flag("--compile", choices=COMPILE_CHOICES, default="auto", help=compile_help)
    flag(
        "--cpus-per-trial",
        type=int,
        default=1,
        metavar="N",
        help="CPU threads of a trial (default: 1)",
    )
    flag(
        "--gpus-per-trial",
        type=float,
        default=0.0,
        metavar="F",
        help="GPUs of a trial, fractions too (default: 0)",
    )
    flag(
        "--address",
        metavar="ADDRESS",
        help="a Ray cluster: auto or ray://HOST:PORT (default: this machine)",
    )
    flag(
        "--launcher",
        choices=["ray", "in-process"],
        default="ray",
        help="in-process: one after another, without Ray",
    )
    flag(
        "--checkpoint-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds between checkpoints (default: 60)",
    )
    patience = "minutes without news of any trial after which the run ends (default: 30)"
    flag("--patience", type=_parse_minutes, default=30.0, metavar="MIN", help=patience)
    flag("--tensorboard", action="store_true", help="write TensorBoard logs to RESULTS/tensorboard")
