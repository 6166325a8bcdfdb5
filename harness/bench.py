"""The command line: what is asked, and how it ended. What is slow to import waits until it is
needed.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from harness import closed_pipe
from harness.cli.arguments import parser
from harness.errors import BadInput, StorageFailure, plain
from harness.execution.shutdown import Stalled, interrupt
from harness.training.process_tuning import uncollected

KEPT = "finished cells are kept; the same command goes on from here"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        args = parser().parse_args(argv)
        if args.status or args.log:
            return _told(args)
        with uncollected():
            from harness.cli import (
                listing,
                run,  # brings torch
            )
        if args.check:
            return run.check(args.check)
        return listing.show_list(args.plugin) if args.list else run.bench(args)
    except BadInput as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    except StorageFailure as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 1
    except Stalled as stalled:
        print(f"error: {stalled}; {KEPT}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: {KEPT}", file=sys.stderr)
        return 130


def _told(args: argparse.Namespace) -> int:
    """What the store tells of its runs, without running anything."""
    from harness.cli import status
    from harness.storage.store import Store

    place = args.status or args.results
    if place is None:
        raise BadInput("--log CELL needs the results that it is of: --results RESULTS")
    store, console = Store(place), Console(highlight=False, markup=False)
    store.reach()
    if args.log:
        return status.log(store, args.log, console)
    return status.follow(store, console) if args.follow else status.show(store, console)


if __name__ == "__main__":
    closed_pipe.guard()
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main())
