"""The batch script for Slurm runs a grid on two nodes, with Debian's Slurm on the test hosts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.storage.store import Store
from tests.cluster.conftest import INSTALLED, exported
from tests.cluster.hosts import Host, Wire, wait
from tests.conftest import ROOT, readme_model

pytestmark = pytest.mark.slow
NODES = {"node1": 61, "node2": 62}
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
# a cell for each CPU of the nodes, long enough for all of them to start: a step waits a while
GRID = "--models linear --seeds 4 --iterations 100 --samples 200 --pack 1"
STEP_SECONDS = "0.2"
CONFIG = """
ClusterName=test
SlurmctldHost=node1({head})
AuthInfo=socket=/run/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmctldPidFile=/run/slurmctld.pid
SlurmdSpoolDir=/run/slurmd
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdPidFile=/run/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=2
SelectType=select/cons_tres
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
"""


class Slurm:
    """Slurm's controller on the first of two hosts, and its daemon on both."""

    def __init__(self, wire: Wire):
        self.folder = wire.folder
        self.hosts = [wire.host(name, number) for name, number in NODES.items()]
        (self.folder / "state").mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        nodes = "\n".join(
            f"NodeName={host.name} NodeAddr={host.address} CPUs=2 State=UNKNOWN"
            for host in self.hosts
        )
        config = CONFIG.format(head=self.hosts[0].address, folder=self.folder, nodes=nodes)
        (self.folder / "slurm.conf").write_text(config)
        for host in self.hosts:
            self.start_daemons(host)
        wait(lambda: self.run("sinfo -h -o %T").stdout.split() == ["idle"], "Slurm's nodes")

    def start_daemons(self, host: Host) -> None:
        """Start what runs on a node; its files are those of this host alone."""
        munge = (
            f"munged --force --key-file={self.folder}/munge.key --socket=/run/munge.socket "
            "--pid-file=/run/munged.pid --log-file=/run/munged.log --seed-file=/run/munged.seed"
        )
        mine = ["slurmctld"] if host is self.hosts[0] else []
        host.run("; ".join(["set -e", self.environment, munge, *mine, f"slurmd -N {host.name}"]))

    @property
    def environment(self) -> str:
        """What a login shell of the cluster has."""
        own = {
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "PYTHONPATH": str(ROOT),
            "STEP_LOG": f"{self.folder}/steps.log",
            "STEP_SECONDS": STEP_SECONDS,
        }
        # the script makes a token of its own
        given = {name: value for name, value in INSTALLED.items() if name != "RAY_AUTH_MODE"}
        return f"{exported(given | own)}; export PATH=$PATH:/usr/sbin"

    def run(self, line: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """The outcome of a command on the first node, in the project's folder."""
        return self.hosts[0].run(f"{self.environment}; cd {ROOT}; {line}", check=check)

    def submit(self, flags: str, output: Path) -> int:
        """Run the batch script to its end; the exit code of the job."""
        line = f"sbatch --wait --output={output} examples/clusters/slurm.sh {flags}"
        return self.run(line, check=False).returncode


@pytest.fixture(scope="module")
def slurm(wire: Wire) -> Slurm:
    missing = [name for name in PROGRAMS if shutil.which(name, path=SBIN) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: needs slurm-wlm (Debian's name)")
    return Slurm(wire)


def test_a_job_runs_the_grid_on_all_its_nodes_and_leaves_nothing(slurm: Slurm) -> None:
    results, output = slurm.folder / "results", slurm.folder / "job.out"
    model = slurm.folder / "linear.py"
    model.write_text(readme_model("step_log"), encoding="utf-8")
    flags = f"{GRID} --plugin {model} --results {results}"
    assert slurm.submit(flags, output) == 0, output.read_text()
    assert "4 of 4 cells done" in output.read_text()
    assert {row["host"] for row in Store(results).rows().values()} == set(NODES)
    for host in slurm.hosts:
        wait(lambda host=host: not leftovers(host), f"the end of Ray on {host.name}")  # type: ignore[misc]


def leftovers(host: Host) -> list[str]:
    """The processes of Ray on a host."""
    return [line for line in host.processes() if "/ray/" in line or line.startswith("ray::")]
