"""The parser of the command line, the page that --help prints, and the options of a run."""

import argparse
from typing import Any, NoReturn

from harness.cli.flags import FLAG_GROUPS, GENERAL
from harness.cli.options import GRID_FLAGS, RunOptions
from harness.errors import InputError
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
    command = command_of("harness/bench.py")
    p = Parser(
        usage=f"{command} [GRID] [flags]",
        description=DESCRIPTION,
        epilog=EPILOG.format(command=command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for each in GENERAL:
        p.add_argument(*each.names, **each.options)
    for title, flags in FLAG_GROUPS.items():
        group = p.add_argument_group(title)
        for each in flags:
            group.add_argument(*each.names, **each.options)
    return p


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
        as_json=args.json,
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
