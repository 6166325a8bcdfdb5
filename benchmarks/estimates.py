"""Compare the time that `--dry-run` foretells with the time taken, for every shipped grid.

    python -m benchmarks.estimates

The long grids run shortened, all twice: the first run leaves compiled code on this machine, as a
long one does early. Writes estimates.md beside itself; nothing else may run meanwhile.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COMMANDS = (
    ("quick",),
    ("digits",),
    ("beta", "--seeds", "1", "--iterations", "2000"),
    ("report", "--seeds", "1", "--iterations", "1500"),
    ("labels", "--seeds", "1", "--labels", "100", "300", "--iterations", "600"),
    ("semi", "--seeds", "1", "--iterations", "500"),
    ("suite", "--seeds", "1", "--iterations", "500", "--models", "vae", "made"),
)
TIME = re.compile(r"(\d+) (h|min|s)\b")
BENCH = (sys.executable, "harness/bench.py")
SECONDS = {"h": 3600, "min": 60, "s": 1}


class Measured(NamedTuple):
    """A command; the seconds foretold, those of the first run, of the second, and of the whole
    second command.
    """

    command: str
    foretold: float
    first: float
    second: float
    whole: float


def parse_time(text: str) -> float:
    """The seconds of a time as the display prints it.

    >>> parse_time("2 min 18 s")
    138.0
    """
    return float(sum(int(number) * SECONDS[unit] for number, unit in TIME.findall(text)))


def measure(words: Sequence[str]) -> Measured:
    """Run a command, foretell its time, and run it again."""
    first, _ = run(words)
    with TemporaryDirectory() as results:
        plan = subprocess.run(
            [*BENCH, *words, "--results", results, "--dry-run", "--json"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
    second, whole = run(words)
    return Measured(" ".join(words), json.loads(plan.stdout)["seconds"], first, second, whole)


def run(words: Sequence[str]) -> tuple[float, float]:
    """Seconds from the first trial of a command to the end of the last, and of all of it."""
    with TemporaryDirectory() as results:
        started = time.perf_counter()
        done = subprocess.run(
            [*BENCH, *words, "--results", results],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        whole = time.perf_counter() - started
    *_, last = re.findall(r"^\[(.+?)\]", done.stdout, re.MULTILINE)
    return parse_time(last), whole


def describe_processor() -> str:
    """The name of the first processor."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return text.partition("model name")[2].splitlines()[0].strip("\t: ")


def format_page(measured: Sequence[Measured]) -> str:
    """The page."""
    lines = [
        "# Foretold and taken times",
        "",
        f"Two CPUs ({describe_processor()}), each command twice. A run is from the first trial to "
        "the end of the last; the first may compile, the second finds the code. The command also "
        "starts, times steps, and starts Ray. Made by `python -m benchmarks.estimates`.",
        "",
        "| command | foretold, s | first run, s | second run, s | second / foretold | command, s |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{each.command}` | {each.foretold:.0f} | {each.first:.0f} | {each.second:.0f} "
            f"| {each.second / each.foretold:.2f} | {each.whole:.0f} |"
            for each in measured
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write the page."""
    measured = []
    for words in COMMANDS:
        measured.append(measure(words))
        print(measured[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text(format_page(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
