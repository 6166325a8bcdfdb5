"""The command line of results folders: `python -m analysis.folders merge A B --into C`."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import NoReturn

from analysis.folders import diff, drop, export, gc, merge, rename
from analysis.folders.changes import Changes
from harness import closed_pipe
from harness.errors import InputError, strip_control_chars
from harness.exit_codes import exit_codes
from harness.program import command_of

HINT = "the same command goes on from here"
DRY_RUN = "print what would be done, and change nothing"
CHANGES: dict[str, ModuleType] = {"merge": merge, "drop": drop, "rename": rename, "gc": gc}


class Parser(argparse.ArgumentParser):
    """A parser that reports bad arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise InputError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    """The command line."""
    program = command_of("-m analysis.folders")
    p = Parser(prog=program, description="Merge, clean, name, compare and publish results folders.")
    commands = p.add_subparsers(metavar="COMMAND", required=True)
    for name, module in CHANGES.items():
        sub = _add_command(commands.add_parser, name, module)
        sub.set_defaults(lines=_make_changes, plan=module.run)
    for name, module in (("diff", diff), ("export", export)):
        sub = _add_command(commands.add_parser, name, module)
        sub.set_defaults(lines=module.run)
    return p


def _add_command(
    add: Callable[..., argparse.ArgumentParser], name: str, module: ModuleType
) -> argparse.ArgumentParser:
    text = " ".join((module.__doc__ or "").split())
    summary = text.partition(": ")[2].partition(". ")[0].rstrip(".")
    sub = add(name, help=summary, description=text.partition(": ")[2])
    module.add_arguments(sub)
    sub.add_argument("--dry-run", action="store_true", help=DRY_RUN)
    return sub


def _make_changes(args: argparse.Namespace) -> Iterator[str]:
    changes: Changes = args.plan(args)
    if not args.dry_run:
        changes.apply()
    yield from changes.describe(args.dry_run)


@exit_codes(HINT)
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    args = parser().parse_args(argv)
    for line in args.lines(args):
        print(strip_control_chars(line))
    return 0


def start() -> int:
    """Run the command as a process of its own; the exit code."""
    closed_pipe.guard()
    return main()


if __name__ == "__main__":
    sys.exit(start())
