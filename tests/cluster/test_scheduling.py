"""Trials that need a share of a GPU run where and in the order planned, on simulated GPUs."""

import secrets
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import pytest
import yaml

from harness.storage.schema import Row
from harness.storage.store import Store
from tests.cluster.conftest import INSTALLED, exported
from tests.cluster.hosts import Wire
from tests.conftest import ROOT, readme_model

pytestmark = pytest.mark.slow
# CPUs and GPUs: `plain` is the head, `two` lacks CPUs for four
NODES = {"plain": (8, 0), "one": (2, 1), "two": (2, 2)}
SHARE, SLOTS = 0.5, 4
LONG, SHORT, SEEDS = 100, 10, 8
GRID = {
    "seeds": SEEDS,
    "samples": 200,
    "sweeps": [{"model": "linear", "iterations": steps} for steps in (SHORT, LONG)],
}


class Placed(NamedTuple):
    """A trial: its start and end, host, GPU, steps and number of cells."""

    begun: float
    ended: float
    host: str
    process: int
    gpu: str
    steps: int
    cells: int


class Run(NamedTuple):
    """A finished grid: its trials in the order of their start, and its rows."""

    trials: list[Placed]
    rows: list[Row]


class Nodes:
    """A Ray cluster of hosts with the CPUs and GPUs of `NODES`."""

    def __init__(self, wire: Wire):
        self.folder = wire.folder
        hosts = {name: wire.host(name, 30 + number) for number, name in enumerate(NODES)}
        self.head = hosts["plain"]
        own = {
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_TOKEN": secrets.token_hex(),
            "STEP_SECONDS": "0.1",
        }
        logs = {name: f"{self.folder}/{name}" for name in ("STEP_LOG", "TRIAL_LOG")}
        self.environment = f"cd {ROOT}; {exported(INSTALLED | own | logs)}"
        for name, (cpus, gpus) in NODES.items():
            place = (
                "--head --port=6379" if name == "plain" else f"--address={self.head.address}:6379"
            )
            start = (
                f"ray start {place} --node-ip-address={hosts[name].address} "
                f"--num-cpus={cpus} --num-gpus={gpus}"
            )
            hosts[name].run(f"{self.environment}; {start} > ~/start.log 2>&1")

    def run(self, pack: str) -> Run:
        """Run the grid in packs, each trial on a share of a GPU."""
        (self.folder / "linear.py").write_text(
            readme_model("step_log", "trial_log"), encoding="utf-8"
        )
        (self.folder / "grid.yaml").write_text(yaml.safe_dump(GRID), encoding="utf-8")
        (self.folder / "TRIAL_LOG").write_text("")
        plugins = f"--plugin {self.folder}/linear.py"
        flags = (
            f"--address auto --gpus-per-trial {SHARE} --pack {pack} --results {self.folder / pack}"
        )
        self.head.run(
            f"{self.environment}; python harness/bench.py {self.folder}/grid.yaml {plugins} {flags}"
        )
        rows = Store(self.folder / pack).rows()
        lines = [line.split() for line in (self.folder / "TRIAL_LOG").read_text().splitlines()]
        trials = [
            _placed(words, {cell: int(row["iterations"] or 0) for cell, row in rows.items()})
            for words in lines
        ]
        return Run(sorted(trials), list(rows.values()))


def _placed(words: Sequence[str], steps: dict[str, int]) -> Placed:
    begun, ended, host, process, gpu, cells = words
    first, *others = cells.split(",")
    return Placed(
        float(begun), float(ended), host, int(process), gpu, steps[first], 1 + len(others)
    )


def at_once(trials: Sequence[Placed]) -> int:
    """The largest number of concurrent trials."""
    return max(sum(one.begun <= other.begun < one.ended for one in trials) for other in trials)


@pytest.fixture(scope="module")
def nodes(wire: Wire) -> Nodes:
    """The cluster."""
    return Nodes(wire)


@pytest.fixture(scope="module")
def pairs(nodes: Nodes) -> Run:
    """The grid in packs of two: twice as many trials as slots."""
    return nodes.run("2")


@pytest.fixture(scope="module")
def auto(nodes: Nodes) -> Run:
    """The grid in packs that the harness chooses."""
    return nodes.run("auto")


def test_a_gpu_is_shared_by_as_many_trials_as_the_fraction_allows(pairs: Run) -> None:
    gpus: dict[tuple[str, str], list[Placed]] = {}
    for trial in pairs.trials:
        gpus.setdefault((trial.host, trial.gpu), []).append(trial)
    assert {gpu for gpu in gpus if gpu[0] == "one"} == {("one", "0")}
    assert at_once(gpus["one", "0"]) == int(1 / SHARE)
    assert max(map(at_once, gpus.values())) == int(1 / SHARE)


def test_as_many_trials_run_side_by_side_as_were_planned_for(pairs: Run) -> None:
    """`two` has GPUs for four, and CPUs for two."""
    assert at_once(pairs.trials) == SLOTS
    assert at_once([trial for trial in pairs.trials if trial.host == "two"]) == NODES["two"][0]


def test_a_node_without_gpus_gets_no_trial_that_asks_for_one(pairs: Run) -> None:
    assert (
        {row["host"] for row in pairs.rows}
        == {"one", "two"}
        == {trial.host for trial in pairs.trials}
    )


def test_packs_are_trained_on_one_gpu_together(pairs: Run) -> None:
    assert [row["status"] for row in pairs.rows] == ["ok"] * 2 * SEEDS
    assert {row["pack"] for row in pairs.rows} == {2} == {trial.cells for trial in pairs.trials}
    assert len(pairs.trials) == SEEDS


def test_the_longest_start_first(pairs: Run) -> None:
    """The order is tested per process, since processes start at different times."""
    by_process = sorted(pairs.trials, key=lambda trial: (trial.host, trial.process, trial.begun))
    orders = [
        [t.steps for t in own]
        for _, own in groupby(by_process, lambda trial: (trial.host, trial.process))
    ]
    assert [order[0] for order in orders] == [LONG] * SLOTS
    assert all(order == sorted(order, reverse=True) for order in orders)


@pytest.mark.parametrize("run", ["pairs", "auto"])
def test_the_last_to_begin_does_not_run_alone(run: str, request: pytest.FixtureRequest) -> None:
    """All other slots are busy when it starts."""
    *others, last = request.getfixturevalue(run).trials
    assert sum(trial.begun <= last.begun < trial.ended for trial in others) == SLOTS - 1


def test_auto_gives_every_share_of_a_gpu_one_pack(auto: Run) -> None:
    """The lengths of this grid divide evenly over the slots."""
    assert sorted(trial.steps for trial in auto.trials) == [SHORT] + [LONG] * (SLOTS - 1)
    assert at_once(auto.trials) == SLOTS
