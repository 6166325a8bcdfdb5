"""The functions that one value passes through: a cell from the command line to its row, and rows to
the page.

    python -m benchmarks.walks

A stop is a function of ours that is called with the value: as an argument, or inside a tuple, list,
dictionary or object that is an argument. The walk is the one that really happens: a cell of `vae`
is trained for 20 steps in this process, and `results/report` is made into a page in a scratch
folder. Prints a Markdown table: stops, the files that they are in, and calls, each function as
often as it is called.
"""

import contextlib
import functools
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "models", "analysis")
DEPTH = 2  # containers within containers that are looked into
Walk = Counter[tuple[str, str]]


def main() -> None:
    """Print the table."""
    print("| way | stops | files | calls |\n| --- | --- | --- | --- |")
    for name, walk in (("a cell to its row", walk_cell()), ("rows to the page", walk_rows())):
        files = {file for file, _ in walk}
        print(f"| {name} | {len(walk)} | {len(files)} | {walk.total()} |")


def walk_cell() -> Walk:
    """The functions that a cell passes through from the command line to its row."""
    from harness import bench

    flags = ["--models", "vae", "--seeds", "1", "--iterations", "20", "--launcher", "in-process"]
    with tempfile.TemporaryDirectory() as folder:
        return follow(is_cell, lambda: bench.main([*flags, "--results", folder]))


def walk_rows() -> Walk:
    """The functions that rows with their arms pass through from the results table to the page."""
    from analysis import report

    with tempfile.TemporaryDirectory() as folder:
        results = str(ROOT / "results" / "report")
        return follow(is_rows, lambda: report.main([results, "--out", folder]))


def is_cell(value: Any) -> bool:
    """Whether a value is a cell of a grid."""
    return type(value).__name__ == "Cell"


def is_rows(value: Any) -> bool:
    """Whether a value is a frame of result rows: cells with their seed and status."""
    return isinstance(value, pd.DataFrame) and {"cell", "seed", "status"} <= set(value.columns)


def follow(matches: Callable[[Any], bool], work: Callable[[], object]) -> Walk:
    """How often each function of ours, as (file, name), is called with a value that matches while
    `work` runs.
    """
    walk: Walk = Counter()

    def record(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if (
            event == "call"
            and (file := own_file(code.co_filename))
            and not code.co_name.startswith("<")
        ):
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if any(holds(frame.f_locals.get(name), matches) for name in names):
                walk[file, code.co_qualname] += 1

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        sys.setprofile(record)
        try:
            work()
        finally:
            sys.setprofile(None)
    return walk


@functools.cache
def own_file(name: str) -> str:
    """The path of a file of ours below the project's folder, empty for others."""
    path = Path(name)
    if not path.is_relative_to(ROOT):
        return ""
    file = path.relative_to(ROOT).as_posix()
    return file if file.startswith(PACKAGES) else ""


def holds(value: Any, matches: Callable[[Any], bool], depth: int = DEPTH) -> bool:
    """Whether a value matches, or holds one that does."""
    return matches(value) or (
        depth > 0 and any(holds(part, matches, depth - 1) for part in list_parts(value))
    )


def list_parts(value: Any) -> Iterator[Any]:
    """What a container or an object of ours holds; of long containers the first."""
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = [*list(value)[:2], *list(value.values())[:2]]
    elif isinstance(value, (tuple, list)):
        parts = value[:2]
    elif type(value).__module__.startswith(PACKAGES):
        parts = getattr(value, "__dict__", {}).values()
    yield from parts


if __name__ == "__main__":
    main()
