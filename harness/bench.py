"""The command line: what is asked, and how it ended. What is slow to import waits until it is needed."""

import signal
import sys
from collections.abc import Sequence

from harness.arguments import parser
from harness.errors import BadInput
from harness.stopping import Stalled, interrupt

KEPT = "finished cells are kept; the same command goes on from here"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        args = parser().parse_args(argv)
        from harness import run  # brings torch

        return run.show_list() if args.list else run.bench(args)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Stalled as stalled:
        print(f"error: {stalled}; {KEPT}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: {KEPT}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main())
