"""The flags of the command line: their names, their values and what --help says of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.cli.flag_values import (
    CollectPairs,
    parse_minutes,
    parse_pack,
    parse_port,
    parse_recipe_pair,
)
from harness.experiment.cell import BATCH_SIZE, LEARNING_RATE
from harness.experiment.grid import DEFAULT_SAMPLES
from harness.experiment.metrics import IWAE_SAMPLES
from harness.experiment.options import COMPILE_CHOICES, RESUME_CHOICES


class Flag(NamedTuple):
    """The arguments of `argparse.ArgumentParser.add_argument`."""

    names: tuple[str, ...]
    options: Mapping[str, Any]


def flag(*names: str, **options: Any) -> Flag:
    """A flag as one writes it for `add_argument`."""
    return Flag(names, options)


GENERAL = (
    flag(
        "grid",
        nargs="?",
        metavar="GRID",
        help="a shipped grid or a YAML file (default: quick, or --models alone)",
    ),
    flag(
        "--list",
        action="store_true",
        help="list the shipped grids, the models and the data sets, and exit",
    ),
    flag(
        "--check",
        metavar="FILE|MODEL",
        help="check the models of a plug-in, or a model by name, against the contract, and exit",
    ),
    flag(
        "--dry-run",
        action="store_true",
        help="print the cells, the packs, what is done and the estimated time, and exit",
    ),
    flag("--json", action="store_true", help="with --dry-run or --status: print JSON"),
)
MONITORING = (
    flag(
        "--status",
        metavar="RESULTS",
        help="print the progress of the runs; exit code 1: cells failed or missing, or no news",
    ),
    flag("--follow", action="store_true", help="with --status: update the view until the run ends"),
    flag(
        "--serve",
        metavar="RESULTS",
        help="show the runs and the report so far in a browser of this machine, until Ctrl-C",
    ),
    flag(
        "--port", type=parse_port, metavar="N", help="with --serve: the port (default: a free one)"
    ),
    flag(
        "--replay",
        metavar="RESULTS",
        help="report results that are stored to the trackers of --track, and exit",
    ),
    flag(
        "--log",
        metavar="CELL",
        help="print the last output of a failed cell of --results (id or name)",
    ),
)
WHAT_TO_RUN = (
    flag(
        "--models",
        nargs="+",
        metavar="NAME",
        help="only these models; a model that is not in the grid is added",
    ),
    flag("--betas", nargs="+", type=float, metavar="β", help="weights of the KL in the loss"),
    flag("--seeds", type=int, metavar="N", help="seeds 0 to N-1"),
    flag(
        "--iterations",
        type=int,
        metavar="N",
        help="optimiser steps (default: each model's full length)",
    ),
    flag(
        "--dataset",
        "--data-set",
        nargs="+",
        metavar="NAME|PATH",
        help=(
            "data sets by name (see --list), or paths of your own: .npz, .npy, a folder of "
            "images, hf:NAME, latents:RESULTS/CELL"
        ),
    ),
    flag(
        "--learning-rate",
        nargs="+",
        type=float,
        metavar="RATE",
        help=f"of the optimiser (default: {LEARNING_RATE:g})",
    ),
    flag(
        "--batch-size",
        nargs="+",
        type=int,
        metavar="N",
        help=f"images in a step (default: {BATCH_SIZE})",
    ),
    flag(
        "--labels",
        nargs="+",
        type=int,
        metavar="N",
        help="label budgets of the models that use labels",
    ),
    flag(
        "--recipe",
        nargs="+",
        type=parse_recipe_pair,
        action=CollectPairs,
        metavar="KEY=VALUE",
        help=(
            "keys of the recipe of training, such as optimizer=adamw clip=1 ema=0.999; a key "
            "that is given twice has both values"
        ),
    ),
    flag(
        "--validation",
        type=int,
        metavar="N",
        help="training images that are held out for validation (default: 0)",
    ),
    flag(
        "--label-draw",
        metavar="WAY",
        help=(
            "which images are labelled: seed (another draw for each seed), draw-N (one draw for "
            "all seeds), subset (listed in the file of --subset)"
        ),
    ),
    flag(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE|FOLDER",
        help=(
            "your own models: a Python file, a folder of modules that import each other, or a "
            "package"
        ),
    ),
)
SCORING = (
    flag(
        "--subset",
        metavar="FILE",
        help="JSON list of the test images that the subset_* columns score",
    ),
    flag(
        "--iwae",
        nargs="+",
        type=int,
        metavar="K",
        help=(
            f"importance-weighted bounds with K draws, such as {', '.join(map(str, IWAE_SAMPLES))}"
        ),
    ),
    flag(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="optional metrics, by name (--list prints them); those of plug-ins need no flag",
    ),
    flag(
        "--samples",
        type=int,
        metavar="N",
        help=(
            f"prior samples whose classes are counted (default: {DEFAULT_SAMPLES:,}; use fewer if "
            "sampling is slow)"
        ),
    ),
    flag(
        "--iwae-on",
        nargs="+",
        choices=["test", "subset"],
        help=(
            "images of these bounds (default: the subset if given, else the test set; 1000 draws "
            "on the test set take minutes per cell)"
        ),
    ),
)
EXECUTION = (
    flag(
        "--results",
        metavar="PLACE",
        help="results folder, or s3://BUCKET/PATH or gs://BUCKET/PATH (default: results/GRID)",
    ),
    flag(
        "--data",
        metavar="DIR",
        help="use the data files in this folder, offline (default: download once into a cache)",
    ),
    flag(
        "--resume",
        choices=RESUME_CHOICES,
        default="missing",
        help=(
            "missing (default): run cells without a row; failed: run only failed cells; always: "
            "both; never: run every cell again"
        ),
    ),
    flag(
        "--pack",
        type=parse_pack,
        default="auto",
        metavar="N",
        help=(
            "cells trained together in one trial; auto (default): a size that keeps all CPUs or "
            "GPUs busy to the end"
        ),
    ),
    flag(
        "--compile",
        choices=COMPILE_CHOICES,
        default="auto",
        help=(
            "auto (default): if a training has 500 steps or more, on CPUs with a C++ compiler; "
            "always; never"
        ),
    ),
    flag(
        "--cpus-per-trial",
        type=int,
        default=1,
        metavar="N",
        help="CPU threads per trial (default: 1)",
    ),
    flag(
        "--gpus-per-trial",
        type=float,
        default=0.0,
        metavar="F",
        help="GPUs per trial, may be a fraction (default: 0)",
    ),
    flag(
        "--address",
        metavar="ADDRESS",
        help="Ray cluster: auto or ray://HOST:PORT (default: this machine)",
    ),
    flag(
        "--launcher",
        choices=["ray", "in-process"],
        default="ray",
        help="in-process: one trial after another, without Ray",
    ),
    flag(
        "--checkpoint-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds between checkpoints (default: 60)",
    ),
    flag(
        "--patience",
        type=parse_minutes,
        default=30.0,
        metavar="MIN",
        help="end the run after this many minutes without news from any trial (default: 30)",
    ),
    flag(
        "--track",
        "--tracker",
        dest="tracker",
        action="append",
        default=[],
        metavar="NAME",
        help="report the run elsewhere: tensorboard, mlflow, wandb, or a tracker of a plug-in",
    ),
    flag(
        "--tensorboard",
        action="append_const",
        const="tensorboard",
        dest="tracker",
        help="write TensorBoard logs to RESULTS/tensorboard",
    ),
)
# the groups of --help by their titles, in its order
FLAG_GROUPS: Mapping[str, tuple[Flag, ...]] = {
    "monitoring, from any machine that can read the results": MONITORING,
    "what to run (overrides the grid)": WHAT_TO_RUN,
    "scoring": SCORING,
    "execution": EXECUTION,
}
