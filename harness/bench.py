"""The command line. What is slow to import waits until it is needed."""

import argparse
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from harness import closed_pipe
from harness.cli.arguments import make_options, make_parser
from harness.errors import InputError
from harness.execution.shutdown import interrupt
from harness.exit_codes import exit_codes
from harness.monitoring.phase import show_phase
from harness.training.process_tuning import paused_gc


@exit_codes("finished cells are kept, and the same command goes on from here")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    args = make_parser().parse_args(argv)
    if args.json and not (args.status or args.dry_run):
        raise InputError("--json is for --dry-run and --status; expected one of them")
    if args.port and not args.serve:
        raise InputError("--port is for --serve; expected both")
    if args.status or args.log:
        return _inspect_results(args)
    if args.serve:
        from harness.monitoring.live.server import serve

        return serve(args.serve, args.port or 0)
    with show_phase("loading PyTorch"), paused_gc():
        from harness.cli import listing, run
    if args.check:
        return run.check_plugin(args.check)
    if args.replay:
        return run.replay_results(args.replay, args.tracker, args.plugin)
    return listing.show_list(args.plugin) if args.list else run.run_grid(make_options(args))


def _inspect_results(args: argparse.Namespace) -> int:
    """Print the status of the runs in a store, or the log of a cell; nothing is run."""
    from harness.cli import status
    from harness.storage.store import Store

    address = args.status or args.results
    if address is None:
        raise InputError("--log CELL needs the results that it is of: --results RESULTS")
    store, console = Store(address), Console(highlight=False, markup=False)
    store.check_reachable()
    if args.log:
        return status.print_log(store, args.log, console)
    if args.json:
        return status.show_json(store)
    return status.follow(store, console) if args.follow else status.show(store, console)


def start() -> int:
    """Run the command as a process of its own; the exit code."""
    closed_pipe.guard()
    signal.signal(signal.SIGTERM, interrupt)
    return main()


if __name__ == "__main__":
    sys.exit(start())
