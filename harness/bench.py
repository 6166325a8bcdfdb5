"""The command line: what is asked, and how it ended. What is slow to import waits until it is
needed.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from harness import closed_pipe
from harness.cli.arguments import make_options, make_parser
from harness.errors import InputError, StorageError, strip_control_chars
from harness.execution.shutdown import StalledError, interrupt
from harness.training.process_tuning import paused_gc

RESUME_HINT = "finished cells are kept; the same command goes on from here"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        args = make_parser().parse_args(argv)
        if args.status or args.log:
            return _inspect_results(args)
        with paused_gc():
            from harness.cli import listing, run
        if args.check:
            return run.check_plugin(args.check)
        return listing.show_list(args.plugin) if args.list else run.run_grid(make_options(args))
    except InputError as error:
        print(f"error: {strip_control_chars(str(error))}", file=sys.stderr)
        return 2
    except StorageError as error:
        print(f"error: {strip_control_chars(str(error))}", file=sys.stderr)
        return 1
    except StalledError as stalled:
        print(f"error: {stalled}; {RESUME_HINT}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: {RESUME_HINT}", file=sys.stderr)
        return 130


def _inspect_results(args: argparse.Namespace) -> int:
    """What the store tells of its runs, without running anything."""
    from harness.cli import status
    from harness.storage.store import Store

    address = args.status or args.results
    if address is None:
        raise InputError("--log CELL needs the results that it is of: --results RESULTS")
    store, console = Store(address), Console(highlight=False, markup=False)
    store.check_reachable()
    if args.log:
        return status.print_log(store, args.log, console)
    return status.follow(store, console) if args.follow else status.show(store, console)


if __name__ == "__main__":
    closed_pipe.guard()
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main())
