"""Inject faults into twenty runs of a grid of forty cells on three hosts, and check for lost rows.

    python -m benchmarks.faults

A run has the faults of `tests/cluster/fault_injection.py` for one seed, on new hosts. It needs root
and takes minutes. Each run adds a line to `faults.csv` at its end, from which `faults.md` is
written. Seeds that have a line are skipped, so an interrupted series can be continued.
"""

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import yaml

from harness import bench
from harness.storage.schema import Row
from harness.storage.store import Store
from tests.cluster.fault_injection import CELLS, FULL, FaultRun, Outcome
from tests.cluster.hosts import Wire, obstacle
from tests.conftest import lasting, readme_model

HERE = Path(__file__).parent
LINES = HERE / "faults.csv"
RUNS = 20
COLUMNS = (
    "seed",
    "faults",
    "seconds",
    "commands",
    "rows",
    "equal",
    "corrupt",
    "resumed",
    "again",
    "most",
    "late",
    "error",
)
PAGE = """# Twenty runs with faults

`python -m benchmarks.faults`: {cells} cells of {steps} slow steps on two workers, a checkpoint
every {checkpoint} s, an S3 server for the results. In each run, in a random order and at random
times, the process of a trial, a worker, the driver and the head are killed, a worker has no network
for {outage:g} s, and storage answers with errors for {outage:g} s. The head is started again by
`ray up`, and the same command is repeated until every cell is done.

{verdict}

- *faults*: the faults with the second of the run; *commands*: how often the command was started;
- *rows*: cells with exactly one complete row; *equal*: those that equal, to the bit, the rows of
  a run without faults in one process; *corrupt*: damaged rows;
- *resumed*: how often a cell was started again; *again*: steps trained again, of {all_steps:,};
  *most*: the most of one such start, where {interval} are a checkpoint interval; *late*: steps of
  cells that already had their row.

{table}
"""


def main() -> None:
    """Run the missing seeds and write the page."""
    reason = obstacle()
    if reason:
        raise SystemExit(f"error: {reason}")
    missing = sorted(set(range(RUNS)) - {int(line["seed"]) for line in lines()})
    rows = run_without_faults() if missing else {}
    for seed in missing:
        add(run_with_faults(seed, rows))
        write_page()
    write_page()


def run_without_faults() -> dict[str, Row]:
    """Run the grid without faults in this process, and return its rows."""
    with tempfile.TemporaryDirectory() as scratch:
        grid, model = Path(scratch, "faults.yaml"), Path(scratch, "linear.py")
        grid.write_text(yaml.safe_dump(FULL.grid), encoding="utf-8")
        model.write_text(readme_model("step_log"), encoding="utf-8")
        flags = [
            "--pack",
            "1",
            "--plugin",
            str(model),
            "--launcher",
            "in-process",
            "--results",
            scratch,
        ]
        if bench.main([str(grid), *flags]):
            raise SystemExit("error: the run without faults has failed")
        return dict(Store(scratch).rows())


def run_with_faults(seed: int, expected: Mapping[str, Row]) -> dict[str, object]:
    """Run one seed and return its line, with an error if the run did not end."""
    try:
        with tempfile.TemporaryDirectory() as scratch, Wire(Path(scratch)) as wire:
            return line(seed, FaultRun(wire, seed).run(), expected)
    except (AssertionError, TimeoutError, OSError) as error:
        return dict.fromkeys(COLUMNS, "") | {
            "seed": seed,
            "error": " ".join(str(error).replace("|", "/").split())[:1000],
        }


def line(seed: int, outcome: Outcome, expected: Mapping[str, Row]) -> dict[str, object]:
    """The numbers of a run, by `COLUMNS`."""
    found = outcome.found
    once = [row for row in found.rows.values() if found.table.count(str(row["cell"])) == 1]
    return {
        "seed": seed,
        "faults": ", ".join(f"{name} {second:.0f}" for name, second in outcome.faults.items()),
        "seconds": outcome.seconds,
        "commands": outcome.commands,
        "rows": len(once),
        "equal": sum(lasting(row) == lasting(expected[str(row["cell"])]) for row in once),
        "corrupt": len(found.corrupt) + len(found.kept["damaged"]),
        "resumed": outcome.resumed,
        "again": outcome.again,
        "most": outcome.most,
        "late": outcome.late,
        "error": "",
    }


def lines() -> list[dict[str, str]]:
    """Read the lines of earlier runs."""
    if not LINES.exists():
        return []
    with LINES.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add(values: Mapping[str, object]) -> None:
    """Append the line of a run."""
    new = not LINES.exists()
    with LINES.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(values)


def write_page() -> None:
    """Write the table and its summary."""
    found = sorted(lines(), key=lambda one: int(one["seed"]))
    complete = [
        one
        for one in found
        if one["rows"] == one["equal"] == str(CELLS) and one["corrupt"] == one["late"] == "0"
    ]
    most = max((int(one["most"]) for one in complete), default=0)
    typical = median(float(one["seconds"]) for one in complete) if complete else 0.0
    verdict = (
        f"**{len(complete)} of {len(found)} runs gave all {CELLS} rows, each complete, once and "
        f"equal to the run without faults.** "
        f"At most {most} steps were repeated after one interruption; the median run took "
        f"{typical:.0f} s."
    )
    head = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    body = [f"| {' | '.join(one[name] for name in COLUMNS)} |" for one in found]
    settings = {
        "cells": CELLS,
        "steps": FULL.steps,
        "checkpoint": f"{FULL.checkpoint:g}",
        "outage": FULL.outage,
        "interval": FULL.interval,
    }
    page = PAGE.format(
        **settings, all_steps=CELLS * FULL.steps, verdict=verdict, table="\n".join(head + body)
    )
    (HERE / "faults.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
