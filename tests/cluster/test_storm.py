"""One storm over a grid of forty cells: every row whole, once, and that of a calm run; little is
done twice.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from harness.storage.schema import Row
from harness.storage.store import Store
from tests.cluster.hosts import Wire
from tests.cluster.storm import CELLS, FAULTS, Pace, Passed, Step, Storm, cost
from tests.conftest import ROOT, lasting, readme_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SEED = 0
# minutes less than the storms of benchmarks/
PACE = Pace(steps=20, checkpoint=0.5, outage=10.0, pause=2.0)


class Calm(NamedTuple):
    """The same grid where nothing fails: the process that runs it, and where its rows go."""

    process: subprocess.Popen[bytes]
    folder: Path


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    """A calm run, with what the storm leaves of the machine."""
    folder = tmp_path_factory.mktemp("calm")
    (folder / "storm.yaml").write_text(yaml.safe_dump(PACE.grid), encoding="utf-8")
    model = folder / "linear.py"
    model.write_text(readme_model("watched"), encoding="utf-8")  # its text is in every row
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
    command = ["nice", sys.executable, "harness/bench.py", str(folder / "storm.yaml"), *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        yield Calm(process, folder)
        process.kill()


@pytest.fixture(scope="module")
def passed(wire: Wire, s3: str, beside: Calm) -> Passed:
    """What a storm left; where there is no S3 server, there is none."""
    return Storm(wire, SEED, PACE).pass_over()


@pytest.fixture(scope="module")
def calm(beside: Calm) -> dict[str, Row]:
    """The rows of the calm run."""
    assert beside.process.wait() == 0
    return dict(Store(beside.folder).rows())


def test_every_cell_has_its_row_whole_and_once(passed: Passed) -> None:
    found = passed.found
    assert set(passed.faults) == set(FAULTS)
    assert [row["status"] for row in found.rows.values()] == ["ok"] * CELLS
    assert sorted(found.table) == sorted(found.rows)
    assert found.kept == {
        "rows": sorted(f"rows/{c}.json" for c in found.rows),
        "damaged": [],
        "checkpoints": [],
    }
    assert found.torn == {}


def test_the_rows_are_those_of_a_calm_run(passed: Passed, calm: dict[str, Row]) -> None:
    rows = passed.found.rows
    assert {name: lasting(row) for name, row in rows.items()} == {
        name: lasting(row) for name, row in calm.items()
    }


def test_what_is_trained_again_is_less_than_from_one_checkpoint_to_the_next(passed: Passed) -> None:
    assert passed.touched > 0
    assert passed.most <= PACE.interval


def test_what_has_its_row_is_not_trained_again(passed: Passed) -> None:
    assert passed.late == 0


def test_steps_that_are_trained_again_are_counted() -> None:
    """Ten steps; a second process goes on from the eighth, and a third trains one after the row was
    written.
    """
    first = [Step(float(number), "worker1", 7, "a", number) for number in range(1, 11)]
    second = [Step(20.0 + number, "worker2", 7, "a", number) for number in (8, 9, 10, 11)]
    late = [Step(60.0, "worker1", 8, "a", 11)]
    rows: dict[str, Row] = {"a": {"finished": "1970-01-01T00:00:50+00:00"}}
    assert cost([*late, *second, *first], rows) == (2, 4, 3, 1)
