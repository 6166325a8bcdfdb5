"""A storm over a cluster at work: processes, hosts, the network and storage fail in turn, at random
times.

    with Wire(folder) as wire:
        passed = Storm(wire, seed=1).pass_over()

Between two faults the grid goes on for a while. What a user would do is done: the head is started
again, and the same command is given until every cell is done. Every step that any process trains is
on record (`watched`), so what was trained again can be counted.
"""

import json
import math
import random
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import yaml

from harness.storage.schema import Row
from tests.cluster.conftest import Cluster, exported
from tests.cluster.hosts import Host, Wire, wait
from tests.conftest import ROOT, readme_model

CELLS, STEP_SECONDS = 40, 0.1
# seconds within which the grid must go on after a fault, and end after the last one
PATIENCE = 300.0
S3, DOOR = 5555, 5556  # ports of the host `store`: the server, and the door to it that can be shut
BIN = Path(sys.executable).parent
KEYS = {
    "AWS_ACCESS_KEY_ID": "the-test-key",
    "AWS_SECRET_ACCESS_KEY": "no-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = """
from pyarrow.fs import S3FileSystem
s3 = S3FileSystem(endpoint_override={!r}, scheme="http", allow_bucket_creation=True)
s3.create_dir("bench")
"""
FOUND = """
import io, json, sys
import pyarrow.parquet as pq
from harness.storage.store import TABLE, Store
store = Store(sys.argv[1])
found = store.scan()
table = pq.read_table(io.BytesIO(store.read(TABLE)))["cell"].to_pylist()
kept = {folder: store.keys(folder, "") for folder in ("rows", "damaged", "checkpoints")}
state = {"rows": dict(found.rows), "corrupt": dict(found.corrupt), "table": table, "kept": kept}
print(json.dumps(state))
"""


@dataclass(frozen=True)
class Pace:
    """How long a storm takes: steps of a cell, seconds between checkpoints, seconds without network
    or storage.

    `pause` is for how many seconds, at most, the grid goes on before the next fault.
    """

    steps: int = 75
    checkpoint: float = 2.0
    outage: float = 30.0
    pause: float = 4.0

    @property
    def grid(self) -> dict[str, object]:
        """The forty cells."""
        return {
            "seeds": CELLS // 2,
            "sweeps": [{"model": "linear", "beta": [1.0, 4.0], "iterations": self.steps}],
        }

    @property
    def interval(self) -> int:
        """Steps, at most, from one checkpoint to the next."""
        return int(self.checkpoint / STEP_SECONDS) + 1


FULL = Pace()


class Step(NamedTuple):
    """A step of a cell that a process of a host has trained, and when (s since 1970)."""

    when: float
    host: str
    process: int
    cell: str
    number: int


@dataclass(frozen=True)
class Found:
    """What lies in the store: rows by their cells, torn ones, the cells of the table, the keys of
    some folders.
    """

    rows: dict[str, Row]
    torn: dict[str, str]
    table: list[str]
    kept: dict[str, list[str]]


@dataclass(frozen=True)
class Passed:
    """What a storm did, and cost: faults by name with the second of the run at which they struck;
    what it left.

    `touched` counts how often a cell was begun again, `again` the steps that were trained again,
    `most` those of one such time, `late` steps of cells that had their row already.
    """

    faults: dict[str, float]
    seconds: float
    commands: int
    touched: int
    again: int
    most: int
    late: int
    found: Found


@dataclass
class Storage:
    """An S3 server on a host of its own, behind a door that is shut while a file is there."""

    host: Host
    shut: Path
    address: str = field(init=False)

    def __post_init__(self) -> None:
        server, place = f"{self.host.address}:{S3}", self.host.address
        self.host.run(f"{BIN}/moto_server -H {place} -p {S3} > s3.log 2>&1 &")
        self.host.run(
            f"cd {ROOT}; {BIN}/python -m tests.door {server} {place} {DOOR} {self.shut} > "
            f"~/door.log 2>&1 &"
        )
        wait(
            lambda: all(f":{port} " in self.host.sockets() for port in (S3, DOOR)), "the S3 server"
        )
        self.host.run(f"{exported(KEYS)}; {BIN}/python -c {shlex.quote(BUCKET.format(server))}")
        self.address = f"s3://bench/storm?endpoint_override={place}:{DOOR}&scheme=http"

    def fail(self, seconds: float) -> None:
        """Answer nothing but 500 for so long."""
        self.shut.touch()
        time.sleep(seconds)
        self.shut.unlink()


class Storm:
    """A cluster with its storage, and what befalls them."""

    def __init__(self, wire: Wire, seed: int, pace: Pace = FULL):
        self.wire, self.random, self.pace = wire, random.Random(seed), pace
        self.log, self.said = wire.folder / "steps.log", wire.folder / "driver.log"
        watched = {"STORM_LOG": str(self.log), "STORM_STEP_SECONDS": str(STEP_SECONDS)}
        self.cluster = Cluster(wire, KEYS | watched)
        self.storage = Storage(wire.host("store", 20), wire.folder / "shut")
        self.commands = 0
        self.log.touch()
        (wire.folder / "storm.yaml").write_text(yaml.safe_dump(pace.grid), encoding="utf-8")
        (wire.folder / "linear.py").write_text(readme_model("watched"), encoding="utf-8")

    def pass_over(self, kinds: Sequence[str] = ()) -> Passed:
        """Faults of these kinds, or of every kind, in a random order, from the first step to the
        last row.
        """
        self.cluster.up()
        self.give_the_command()
        self.await_a_step()
        started, faults = time.monotonic(), dict[str, float]()
        for name in self.random.sample(kinds or list(FAULTS), len(kinds or FAULTS)):
            time.sleep(self.random.uniform(0, self.pace.pause))
            assert self.driver.poll() != 0, f"the grid was done before the storm: {faults}"
            faults[name] = round(time.monotonic() - started, 1)
            FAULTS[name](self)
            self.await_a_step()
        self.await_the_end()
        seconds = round(time.monotonic() - started, 1)
        found = self.found()
        return Passed(faults, seconds, self.commands, *cost(self.steps(), found.rows), found)

    # --- what fails -------------------------------------------------------------------------------

    def kill_a_trial(self) -> None:
        """The process of a trial, on any worker."""
        wait(lambda: bool(self.trials()), "a trial", PATIENCE)
        host, process = self.random.choice(self.trials())
        host.run(f"kill -9 {process}", check=False)

    def kill_a_worker(self) -> None:
        """A worker loses its power for a few seconds; nobody starts Ray there."""
        worker = self.random.choice(self.cluster.workers)
        worker.kill()
        time.sleep(self.random.uniform(0, self.pace.pause))
        worker.start()

    def kill_the_driver(self) -> None:
        """The command on the head; it is given again."""
        self.cluster.head.run("pkill -9 -f '^python harness/bench.py'")
        self.driver.wait()
        self.give_the_command()

    def kill_the_head(self) -> None:
        """The head loses its power; the cluster is started, and the command given, again."""
        self.cluster.head.kill()
        self.driver.wait()
        self.cluster.head.start()
        self.cluster.start()
        self.give_the_command()

    def cut_a_worker(self) -> None:
        """A worker without network."""
        worker = self.random.choice(self.cluster.workers)
        worker.cut()
        time.sleep(self.pace.outage)
        worker.mend()

    def fail_storage(self) -> None:
        """Storage answers with errors."""
        self.storage.fail(self.pace.outage)

    def trials(self) -> list[tuple[Host, int]]:
        """The processes of trials, and where they are."""
        return [
            (worker, int(process))
            for worker in self.cluster.workers
            for process in worker.run(
                "pgrep -f '^ray::ResourceTrainable'", check=False
            ).stdout.split()
        ]

    # --- what a user does -------------------------------------------------------------------------

    def give_the_command(self) -> None:
        """On the head; what it says is kept."""
        flags = (
            f"--pack 1 --checkpoint-seconds {self.pace.checkpoint:g} --patience 4 --address auto"
        )
        line = (
            f"python harness/bench.py {self.wire.folder}/storm.yaml {flags} --plugin "
            f"{self.wire.folder}/linear.py"
        )
        self.commands += 1
        with self.said.open("a") as said:
            self.driver = self.cluster.head.popen(
                f". ~/.bashrc; cd generative-bench; exec {line} --results "
                f"{shlex.quote(self.storage.address)}",
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def await_a_step(self) -> None:
        """Until a step is trained, by any trial."""
        before = len(self.steps())
        self.attend(
            lambda: len(self.steps()) > before or self.driver.poll() == 0, "a step of training"
        )

    def await_the_end(self) -> None:
        """Until the command says that every cell is done."""
        self.attend(lambda: self.driver.poll() == 0, "the end of the grid")

    def attend(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for something; a command that ended before all was done is given again."""

        def looked() -> bool:
            if self.driver.poll() not in (None, 0):
                self.give_the_command()
            return ready()

        try:
            wait(looked, what, PATIENCE)
        except TimeoutError as late:
            raise TimeoutError(
                f"{late}; the command said last:\n{self.said.read_text()[-3000:]}"
            ) from None

    # --- what came of it --------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """What was trained on the workers; the driver only times a few steps."""
        words = (line.split() for line in self.log.read_text().splitlines())
        found = (
            Step(float(when), host, int(process), cell, int(number))
            for when, host, process, cell, number in words
        )
        return [step for step in found if step.host != self.cluster.head.name]

    def found(self) -> Found:
        """What lies in the store, seen from the desk."""
        python = f"cd {ROOT}; {exported(self.cluster.environment)} PYTHONPATH={ROOT}; python"
        done = self.cluster.desk.run(
            f"{python} -c {shlex.quote(FOUND)} {shlex.quote(self.storage.address)}"
        )
        return Found(**json.loads(done.stdout))


FAULTS: dict[str, Callable[[Storm], None]] = {
    "trial": Storm.kill_a_trial,
    "worker": Storm.kill_a_worker,
    "driver": Storm.kill_the_driver,
    "head": Storm.kill_the_head,
    "network": Storm.cut_a_worker,
    "storage": Storm.fail_storage,
}


def cost(steps: Sequence[Step], rows: Mapping[str, Row]) -> tuple[int, int, int, int]:
    """How often a cell was begun again; steps trained again, of one such time at most, and after
    the cell's row.
    """
    done = {
        cell: datetime.fromisoformat(str(row["finished"])).timestamp() for cell, row in rows.items()
    }
    trained, again, late = set[tuple[str, int]](), Counter[tuple[str, str, int]](), 0
    for step in sorted(steps):
        begun = (step.cell, step.host, step.process)
        again[begun] += (step.cell, step.number) in trained
        trained.add((step.cell, step.number))
        late += step.when > done.get(step.cell, math.inf)
    touched = len(again) - len({cell for cell, _ in trained})
    return touched, again.total(), max(again.values(), default=0), late
