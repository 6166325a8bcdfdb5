"""Large results tables: what `compare.py` and `report.py` take to read, summarise and compare them.

Each command runs in a process of its own, from the parquet on. The rows are made up.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.experiment.cell import Cell
from harness.storage import schema
from harness.storage.store import TABLE

CELL = Cell("vae", 0, 20_000)
ROOT = Path(__file__).parents[2]
GIB = 2**20  # kibibytes, in which the kernel counts
LIMIT_SECONDS = 300.0  # a command that takes longer is ended
# what every row has alike
ALIKE: dict[str, Any] = {
    "status": "ok",
    "data_kind": "binary",
    "seeded": "weights,order",
    "full_length": 20_000,
    "parameters": 1000,
    "train_seconds": 60.0,
    "score_seconds": 5.0,
    "device": "cpu: none",
    "git_commit": "c0ffee",
    "versions": json.dumps({"torch": "2"}),
    "estimator": "elbo",
    "data_checksum": "d",
    "finished": "2026-01-01T00:00:00",
    "grid": "large",
    "run": "r",
    "kl": 19.0,
    "digit_counts": [1000] * 10,
    "digit_counts_200": [20] * 10,
    "judge_accuracy": 0.99,
    "judge_accuracy_binary": 0.98,
}


class Cost(NamedTuple):
    """What a command took: seconds, and GiB at its peak."""

    seconds: float
    memory: float


class Case(NamedTuple):
    """A command, and the table that it is given: so many arms of so many seeds."""

    name: str
    arms: int
    seeds: int
    command: Sequence[str]
    reach: str


CASES = (
    Case(
        "10⁶ rows of 1,000 arms compared",
        1000,
        1000,
        ("analysis/compare.py", "{}", "--a", "z=3", "--b", "z=4"),
        "10 s, 2 GiB",
    ),
    Case(
        "report of 10⁶ rows in 10 arms",
        10,
        100_000,
        ("analysis/report.py", "{}"),
        "20 s, 2 GiB",
    ),
    Case("report of 300 arms", 300, 5, ("analysis/report.py", "{}"), "60 s, a page of 3 MB"),
)


def make_table(arms: int, seeds: int) -> pa.Table:
    """A results table with so many arms of so many seeds, as the harness would have written it."""
    row = schema.make_row({**schema.DEFAULTS, **schema.describe_cell(CELL), **ALIKE})
    settings = sorted(json.dumps({"z": number + 1}) for number in range(arms))
    arm, seed = np.repeat(np.arange(arms), seeds), np.tile(np.arange(seeds), arms)
    rec = 81 + 0.3 * np.random.default_rng(0).normal(size=arms * seeds) + 0.001 * arm
    own: Mapping[str, Any] = {
        "cell": [f"{number:016x}" for number in range(arms * seeds)],
        "seed": seed,
        "settings": pa.array(settings).take(pa.array(arm)),
        "rec": rec,
        "nelbo": rec + 19.0,
    }
    zeros = pa.array(np.zeros(arms * seeds, dtype=np.int64))
    columns = [
        pa.array(own[each.name], each.type)
        if each.name in own
        else pa.array([row[each.name]], each.type).take(zeros)
        for each in schema.SCHEMA
    ]
    return pa.table(columns, schema=schema.SCHEMA)


@contextmanager
def made_folder(case: Case) -> Iterator[Path]:
    """A results folder with the table of a case, for as long as it is needed."""
    with TemporaryDirectory() as folder:
        pq.write_table(make_table(case.arms, case.seeds), Path(folder, TABLE))
        yield Path(folder)


def run(tree: Path, case: Case, folder: Path) -> Cost | None:
    """The cost of the command of a case, by the version in a checkout; None beyond the limit."""
    words = [word.format(folder) for word in case.command]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "2"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], cwd=tree, env=environment, stdout=subprocess.DEVNULL
    )
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        if time.perf_counter() - begun > LIMIT_SECONDS:
            process.kill()
            os.wait4(process.pid, 0)
            return None
        time.sleep(0.01)
    _, status, usage = ended
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(time.perf_counter() - begun, usage.ru_maxrss / GIB)


def page_size(folder: Path) -> float | None:
    """The size of the report's page in MB, None where there is none."""
    page = folder / "report" / "report.html"
    return page.stat().st_size / 1e6 if page.is_file() else None
