"""Inject faults into twenty runs of a grid of forty cells on three hosts, and check for lost rows.

    python -m benchmarks.storms

A storm is the series of faults of `tests/cluster/storm.py` for one seed, on new hosts. It needs
root and takes minutes. Each storm adds a line to `storms.csv` at its end, from which `storms.md` is
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
from tests.cluster.hosts import Wire, obstacle
from tests.cluster.storm import CELLS, FULL, Passed, Storm
from tests.conftest import lasting, readme_model

HERE = Path(__file__).parent
LINES = HERE / "storms.csv"
STORMS = 20
COLUMNS = (
    "seed",
    "faults",
    "seconds",
    "commands",
    "rows",
    "equal",
    "torn",
    "touched",
    "again",
    "most",
    "late",
    "error",
)
PAGE = """# Twenty storms

`python -m benchmarks.storms`: {cells} cells of {steps} slow steps on two workers, a checkpoint
every {checkpoint} s, an S3 server for the results. In each storm, in a random order and at
random times, the process of a trial, a worker, the driver and the head are killed, a worker has no
network for {outage:g} s, and storage answers with errors for {outage:g} s. The head is started
again by `ray up`, and the same command is given until every cell is done.

{verdict}

- *faults*: what struck, and at which second of the run; *commands*: how often the command was
  given;
- *rows*: cells with a whole row, each once; *equal*: those that are, to the bit, the rows of a calm
  run in one process;
- *touched*: how often a cell was begun again; *again*: steps trained again, of {all_steps:,};
  *most*: of one such time, where {interval} are a checkpoint interval; *late*: steps of cells that
  had their row already.

{table}
"""


def main() -> None:
    """Run the missing storms and write the page."""
    reason = obstacle()
    if reason:
        raise SystemExit(f"error: {reason}")
    missing = sorted(set(range(STORMS)) - {int(line["seed"]) for line in lines()})
    rows = calm() if missing else {}
    for seed in missing:
        add(weathered(seed, rows))
        write_page()
    write_page()


def calm() -> dict[str, Row]:
    """The rows of the grid from a run without faults, in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        grid, model = Path(scratch, "storm.yaml"), Path(scratch, "linear.py")
        grid.write_text(yaml.safe_dump(FULL.grid), encoding="utf-8")
        model.write_text(readme_model("watched"), encoding="utf-8")
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
            raise SystemExit("error: the calm run has failed")
        return dict(Store(scratch).rows())


def weathered(seed: int, calm: Mapping[str, Row]) -> dict[str, object]:
    """Run a storm and return its line, with an error if the run did not end."""
    try:
        with tempfile.TemporaryDirectory() as scratch, Wire(Path(scratch)) as wire:
            return line(seed, Storm(wire, seed).pass_over(), calm)
    except (AssertionError, TimeoutError, OSError) as error:
        return dict.fromkeys(COLUMNS, "") | {
            "seed": seed,
            "error": " ".join(str(error).replace("|", "/").split())[:1000],
        }


def line(seed: int, passed: Passed, calm: Mapping[str, Row]) -> dict[str, object]:
    """The numbers of a storm, by `COLUMNS`."""
    found = passed.found
    once = [row for row in found.rows.values() if found.table.count(str(row["cell"])) == 1]
    return {
        "seed": seed,
        "faults": ", ".join(f"{name} {second:.0f}" for name, second in passed.faults.items()),
        "seconds": passed.seconds,
        "commands": passed.commands,
        "rows": len(once),
        "equal": sum(lasting(row) == lasting(calm[str(row["cell"])]) for row in once),
        "torn": len(found.torn) + len(found.kept["damaged"]),
        "touched": passed.touched,
        "again": passed.again,
        "most": passed.most,
        "late": passed.late,
        "error": "",
    }


def lines() -> list[dict[str, str]]:
    """Read the lines of earlier storms."""
    if not LINES.exists():
        return []
    with LINES.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add(values: Mapping[str, object]) -> None:
    """Append the line of a storm."""
    new = not LINES.exists()
    with LINES.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(values)


def write_page() -> None:
    """Write the table and its summary."""
    found = sorted(lines(), key=lambda one: int(one["seed"]))
    whole = [
        one
        for one in found
        if one["rows"] == one["equal"] == str(CELLS) and one["torn"] == one["late"] == "0"
    ]
    most = max((int(one["most"]) for one in whole), default=0)
    typical = median(float(one["seconds"]) for one in whole) if whole else 0.0
    verdict = (
        f"**{len(whole)} of {len(found)} storms left all {CELLS} rows, each whole, once and "
        f"equal to the calm run.** "
        f"At most {most} steps were trained again for one interruption; the median run took "
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
    (HERE / "storms.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
