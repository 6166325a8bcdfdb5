"""Faults during a grid of forty cells lose no row and repeat few steps."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from harness.storage.schema import Row
from harness.storage.store import Store
from tests.cluster.fault_injection import CELLS, FAULTS, FaultRun, Outcome, Pace, Step, cost
from tests.cluster.hosts import Wire
from tests.conftest import ROOT, lasting, readme_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SEED = 0
# minutes shorter than the runs of benchmarks/faults.py
PACE = Pace(steps=20, checkpoint=0.5, outage=10.0, pause=2.0, samples=200)


class Undisturbed(NamedTuple):
    """A run of the same grid without faults: its process and its results folder."""

    process: subprocess.Popen[bytes]
    folder: Path


@pytest.fixture(scope="module")
def undisturbed_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    """A run without faults, at low priority at the same time."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "faults.yaml").write_text(yaml.safe_dump(PACE.grid), encoding="utf-8")
    model = folder / "linear.py"
    model.write_text(readme_model("step_log"), encoding="utf-8")  # its hash is in every row
    flags = [
        "--pack",
        "1",
        "--plugin",
        str(model),
        "--launcher",
        "in-process",
        "--results",
        str(folder),
    ]
    command = ["nice", sys.executable, "harness/bench.py", str(folder / "faults.yaml"), *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        yield Undisturbed(process, folder)
        process.kill()


@pytest.fixture(scope="module")
def outcome(wire: Wire, s3: str, undisturbed_run: Undisturbed) -> Outcome:
    """The outcome of the run with faults; skipped without an S3 server."""
    return FaultRun(wire, SEED, PACE).run()


@pytest.fixture(scope="module")
def undisturbed(undisturbed_run: Undisturbed) -> dict[str, Row]:
    """The rows of the run without faults."""
    assert undisturbed_run.process.wait() == 0
    return dict(Store(undisturbed_run.folder).rows())


def test_every_cell_has_one_complete_row(outcome: Outcome) -> None:
    found = outcome.found
    assert set(outcome.faults) == set(FAULTS)
    assert [row["status"] for row in found.rows.values()] == ["ok"] * CELLS
    assert sorted(found.table) == sorted(found.rows)
    assert found.kept == {
        "rows": sorted(f"rows/{c}.json" for c in found.rows),
        "damaged": [],
        "checkpoints": [],
    }
    assert found.corrupt == {}


def test_the_rows_equal_those_without_faults(outcome: Outcome, undisturbed: dict[str, Row]) -> None:
    rows = outcome.found.rows
    assert set(rows) == set(undisturbed)
    differing = {
        f"{column} of cell {cell}": (value, calm.get(column))
        for cell, calm in undisturbed.items()
        for column, value in lasting(rows[cell]).items()
        if value != calm.get(column)
    }
    assert differing == {}
    assert all(set(lasting(rows[cell])) == set(lasting(calm)) for cell, calm in undisturbed.items())


def test_fewer_steps_are_repeated_than_lie_between_checkpoints(outcome: Outcome) -> None:
    assert outcome.resumed > 0
    assert outcome.most <= PACE.interval


def test_a_cell_with_a_row_is_not_trained_again(outcome: Outcome) -> None:
    assert outcome.late == 0


def test_repeated_steps_are_counted() -> None:
    """A second process repeats three of ten steps, and a third trains one after the row."""
    first = [Step(float(number), "worker1", 7, "a", number) for number in range(1, 11)]
    second = [Step(20.0 + number, "worker2", 7, "a", number) for number in (8, 9, 10, 11)]
    late = [Step(60.0, "worker1", 8, "a", 11)]
    rows: dict[str, Row] = {"a": {"finished": "1970-01-01T00:00:50+00:00"}}
    assert cost([*late, *second, *first], rows) == (2, 4, 3, 1)
