"""Inject faults into a running cluster: processes, hosts, the network and storage fail in turn, at
random times.

    with Wire(folder) as wire:
        outcome = FaultRun(wire, seed=1).run()

The grid runs for a while between two faults. The head and the driver are started again, as a user
would do, until every cell is done. Every training step is logged (`step_log`), so that repeated
steps can be counted.
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
# seconds within which a step must follow each fault, and the end the last fault
PATIENCE = 300.0
S3, PROXY = 5555, 5556  # ports of the S3 server and of its proxy, on the host `store`
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
    """The size of a run: steps of a cell, seconds between checkpoints, seconds without network or
    storage.

    `pause` is the longest time between two faults, in seconds; `samples` of a cell are scored.
    """

    steps: int = 75
    checkpoint: float = 2.0
    outage: float = 30.0
    pause: float = 4.0
    samples: int = 10_000

    @property
    def grid(self) -> dict[str, object]:
        """The forty cells."""
        return {
            "seeds": CELLS // 2,
            "samples": self.samples,
            "sweeps": [{"model": "linear", "beta": [1.0, 4.0], "iterations": self.steps}],
        }

    @property
    def interval(self) -> int:
        """The most steps between two checkpoints."""
        return int(self.checkpoint / STEP_SECONDS) + 1


FULL = Pace()


class Step(NamedTuple):
    """A trained step of a cell: time (s since 1970), host and process."""

    when: float
    host: str
    process: int
    cell: str
    number: int


@dataclass(frozen=True)
class Found:
    """The content of the store: rows by cell, corrupt rows, cells of the table, keys by folder."""

    rows: dict[str, Row]
    corrupt: dict[str, str]
    table: list[str]
    kept: dict[str, list[str]]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run with faults: the second of each fault, the costs, and what was stored.

    `resumed` counts how often a cell was started again, `again` the steps that were trained again,
    `most` the most steps of one such start, `late` steps of cells that already had their row.
    """

    faults: dict[str, float]
    seconds: float
    commands: int
    resumed: int
    again: int
    most: int
    late: int
    found: Found


@dataclass
class Storage:
    """An S3 server on its own host, behind a proxy that fails while the file `shut` exists."""

    host: Host
    shut: Path
    address: str = field(init=False)

    def __post_init__(self) -> None:
        server, place = f"{self.host.address}:{S3}", self.host.address
        self.host.run(f"{BIN}/moto_server -H {place} -p {S3} > s3.log 2>&1 &")
        self.host.run(
            f"cd {ROOT}; {BIN}/python -m tests.failing_proxy {server} {place} {PROXY} {self.shut} "
            f"> ~/proxy.log 2>&1 &"
        )
        wait(
            lambda: all(f":{port} " in self.host.sockets() for port in (S3, PROXY)), "the S3 server"
        )
        self.host.run(f"{exported(KEYS)}; {BIN}/python -c {shlex.quote(BUCKET.format(server))}")
        self.address = f"s3://bench/faults?endpoint_override={place}:{PROXY}&scheme=http"

    def fail(self, seconds: float) -> None:
        """Answer every request with status 500 for some seconds."""
        self.shut.touch()
        time.sleep(seconds)
        self.shut.unlink()


class FaultRun:
    """A grid on a cluster with storage, and the faults that are injected into them."""

    def __init__(self, wire: Wire, seed: int, pace: Pace = FULL):
        self.wire, self.random, self.pace = wire, random.Random(seed), pace
        self.log, self.output = wire.folder / "steps.log", wire.folder / "driver.log"
        logging = {"STEP_LOG": str(self.log), "STEP_SECONDS": str(STEP_SECONDS)}
        self.cluster = Cluster(wire, KEYS | logging)
        self.storage = Storage(wire.host("store", 20), wire.folder / "shut")
        self.commands = 0
        self.log.touch()
        (wire.folder / "faults.yaml").write_text(yaml.safe_dump(pace.grid), encoding="utf-8")
        (wire.folder / "linear.py").write_text(readme_model("step_log"), encoding="utf-8")

    def run(self, kinds: Sequence[str] = ()) -> Outcome:
        """Run the grid, and inject faults of these kinds (default: all) in a random order."""
        self.cluster.up()
        self.start_driver()
        self.wait_for_step()
        started, faults = time.monotonic(), dict[str, float]()
        for name in self.random.sample(kinds or list(FAULTS), len(kinds or FAULTS)):
            time.sleep(self.random.uniform(0, self.pace.pause))
            assert self.driver.poll() != 0, f"the grid was done before all faults: {faults}"
            faults[name] = round(time.monotonic() - started, 1)
            FAULTS[name](self)
            self.wait_for_step()
        self.wait_for_end()
        seconds = round(time.monotonic() - started, 1)
        found = self.found()
        return Outcome(faults, seconds, self.commands, *cost(self.steps(), found.rows), found)

    # --- faults -----------------------------------------------------------------------------------

    def kill_a_trial(self) -> None:
        """Kill the process of a trial, on any worker."""
        wait(lambda: bool(self.trials()), "a trial", PATIENCE)
        host, process = self.random.choice(self.trials())
        host.run(f"kill -9 {process}", check=False)

    def kill_a_worker(self) -> None:
        """Switch a worker off for a few seconds; Ray is not started there by hand."""
        worker = self.random.choice(self.cluster.workers)
        worker.kill()
        time.sleep(self.random.uniform(0, self.pace.pause))
        worker.start()

    def kill_the_driver(self) -> None:
        """Kill the driver and start it again."""
        self.cluster.head.run("pkill -9 -f '^python harness/bench.py'")
        self.driver.wait()
        self.start_driver()

    def kill_the_head(self) -> None:
        """Switch the head off, then start the cluster and the driver again."""
        self.cluster.head.kill()
        self.driver.wait()
        self.cluster.head.start()
        self.cluster.start()
        self.start_driver()

    def cut_a_worker(self) -> None:
        """Cut a worker from the network for a while."""
        worker = self.random.choice(self.cluster.workers)
        worker.cut()
        time.sleep(self.pace.outage)
        worker.mend()

    def fail_storage(self) -> None:
        """Let storage answer with errors for a while."""
        self.storage.fail(self.pace.outage)

    def trials(self) -> list[tuple[Host, int]]:
        """The processes of trials with their hosts."""
        return [
            (worker, int(process))
            for worker in self.cluster.workers
            for process in worker.run(
                "pgrep -f '^ray::ResourceTrainable'", check=False
            ).stdout.split()
        ]

    # --- the user ---------------------------------------------------------------------------------

    def start_driver(self) -> None:
        """Start the command on the head, and keep its output."""
        flags = (
            f"--pack 1 --checkpoint-seconds {self.pace.checkpoint:g} --patience 4 --address auto"
        )
        line = (
            f"python harness/bench.py {self.wire.folder}/faults.yaml {flags} --plugin "
            f"{self.wire.folder}/linear.py"
        )
        self.commands += 1
        with self.output.open("a") as output:
            self.driver = self.cluster.head.popen(
                f". ~/.bashrc; cd generative-bench; exec {line} --results "
                f"{shlex.quote(self.storage.address)}",
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_for_step(self) -> None:
        """Wait until any trial trains a step."""
        before = len(self.steps())
        self.wait_for(
            lambda: len(self.steps()) > before or self.driver.poll() == 0, "a step of training"
        )

    def wait_for_end(self) -> None:
        """Wait until every cell is done."""
        self.wait_for(lambda: self.driver.poll() == 0, "the end of the grid")

    def wait_for(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for a condition; start the driver again if it ends before all cells are done."""

        def check() -> bool:
            if self.driver.poll() not in (None, 0):
                self.start_driver()
            return ready()

        try:
            wait(check, what, PATIENCE)
        except TimeoutError as late:
            raise TimeoutError(
                f"{late}; last output of the driver:\n{self.output.read_text()[-3000:]}"
            ) from None

    # --- the outcome ------------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """The steps that the workers trained; the driver only times a few steps."""
        words = (line.split() for line in self.log.read_text().splitlines())
        found = (
            Step(float(when), host, int(process), cell, int(number))
            for when, host, process, cell, number in words
        )
        return [step for step in found if step.host != self.cluster.head.name]

    def found(self) -> Found:
        """The content of the store."""
        python = f"cd {ROOT}; {exported(self.cluster.environment)} PYTHONPATH={ROOT}; python"
        done = self.cluster.client.run(
            f"{python} -c {shlex.quote(FOUND)} {shlex.quote(self.storage.address)}"
        )
        return Found(**json.loads(done.stdout))


FAULTS: dict[str, Callable[[FaultRun], None]] = {
    "trial": FaultRun.kill_a_trial,
    "worker": FaultRun.kill_a_worker,
    "driver": FaultRun.kill_the_driver,
    "head": FaultRun.kill_the_head,
    "network": FaultRun.cut_a_worker,
    "storage": FaultRun.fail_storage,
}


def cost(steps: Sequence[Step], rows: Mapping[str, Row]) -> tuple[int, int, int, int]:
    """How often a cell was started again; steps trained again, the most of one such start, and
    steps after the cell's row.
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
    resumed = len(again) - len({cell for cell, _ in trained})
    return resumed, again.total(), max(again.values(), default=0), late
