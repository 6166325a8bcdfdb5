"""Compare the time that `--dry-run` foretells with the time taken, for every shipped grid.

    python -m benchmarks.estimates

The long grids run shortened, all twice: the first run compiles, the second finds the code. Writes
estimates.md beside itself; nothing else may run meanwhile.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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
    """Seconds foretold for a run, from its first trial to the end of the last, those taken, and
    those of the whole command.
    """

    foretold: float
    taken: float
    whole: float


def parse_time(text: str) -> float:
    """The seconds of a time as the display prints it.

    >>> parse_time("2 min 18 s")
    138.0
    """
    return float(sum(int(number) * SECONDS[unit] for number, unit in TIME.findall(text)))


def measure(words: Sequence[str]) -> tuple[Measured, Measured]:
    """Foretell and run a command where nothing is compiled, and again."""
    with TemporaryDirectory() as compiled, TemporaryDirectory() as results:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = compiled
        runs = []
        for name in ("first", "second"):
            command = [*BENCH, *words, "--results", f"{results}/{name}"]
            plan = json.loads(call([*command, "--dry-run", "--json"]))
            runs.append(Measured(plan["seconds"], *run(command)))
    return runs[0], runs[1]


def run(command: Sequence[str]) -> tuple[float, float]:
    """Seconds from the first trial of a command to the end of the last, and of all of it."""
    started = time.perf_counter()
    printed = call(command)
    whole = time.perf_counter() - started
    *_, last = re.findall(r"^\[(.+?)\]", printed, re.MULTILINE)
    return parse_time(last), whole


def call(command: Sequence[str]) -> str:
    """What a command prints; CalledProcessError where it fails."""
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def describe_processor() -> str:
    """The name of the first processor."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return text.partition("model name")[2].splitlines()[0].strip("\t: ")


def format_page(measured: Mapping[str, tuple[Measured, Measured]]) -> str:
    """The page."""
    lines = [
        "# Foretold and taken times",
        "",
        f"Two CPUs ({describe_processor()}), each command twice: the first compiles, the second "
        "finds the code. Seconds are from the first trial to the end of the last, as in "
        "`--dry-run`. The command also starts, times steps, and starts Ray. Made by `python -m "
        "benchmarks.estimates`.",
        "",
        "| command | first run: foretold | taken | taken / foretold | second run: foretold | taken "
        "| taken / foretold | whole command |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for command, (first, second) in measured.items():
        cells = (f"`{command}`", *map(format_run, (first, second)), f"{second.whole:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def format_run(run: Measured) -> str:
    """Three cells of the table."""
    return f"{run.foretold:.0f} | {run.taken:.0f} | {run.taken / run.foretold:.2f}"


def main() -> None:
    """Measure, print and write the page."""
    measured = {}
    for words in COMMANDS:
        measured[" ".join(words)] = runs = measure(words)
        print(words, runs, flush=True)
    Path(__file__).with_suffix(".md").write_text(format_page(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
