"""Start cluster.yaml on three hosts from a client host, once for each test file."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from harness.data import download
from tests.cluster.hosts import Host, Wire, obstacle
from tests.conftest import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
CLOUD = {"available_node_types", "head_node_type"}  # what machines of one's own do not have

# What installing from the lock file gives a real node, and what a small machine needs to start
# three of them: the hosts share this machine's environment, and run the copy of the project that
# `ray up` brought them.
INSTALLED = {
    "PATH": f"{Path(sys.executable).parent}:$PATH",
    "PYTHONPATH": "$HOME/generative-bench",
    "HARNESS_DATA": str(download.cache_folder().absolute()),
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_prestart_worker_first_driver": "0",
}


def exported(environment: Mapping[str, str]) -> str:
    """Make a shell line that exports an environment."""
    return "export " + " ".join(f"{name}={value}" for name, value in environment.items())


EXPORT = exported(INSTALLED)


def on_premise(head_ip: str, worker_ips: list[str], user: str, key: str) -> dict[str, Any]:
    """The shipped cluster.yaml with the three lines of docs/cluster.md changed."""
    own = {
        "provider": {"type": "local", "head_ip": head_ip, "worker_ips": worker_ips},
        "auth": {"ssh_user": user, "ssh_private_key": key},
    }
    return {name: value for name, value in SHIPPED.items() if name not in CLOUD} | own


class Cluster:
    """The hosts, with a cluster on them after `up`; `more` extends the nodes' environment."""

    def __init__(self, wire: Wire, more: Mapping[str, str] = MappingProxyType({})):
        self.wire, self.environment = wire, INSTALLED | dict(more)
        self.client, self.head = wire.host("client", 9), wire.host("head", 10)
        self.workers = [wire.host(f"worker{number}", 10 + number) for number in (1, 2)]
        self.results = wire.folder / "results"
        self.file = self.client.home / "cluster.yaml"
        self.file.write_text(yaml.safe_dump(self.config()))

    def config(self) -> dict[str, Any]:
        """The shipped cluster.yaml for these hosts; only the installation on a node differs."""
        own = on_premise(
            self.head.address,
            [worker.address for worker in self.workers],
            "root",
            str(self.wire.key),
        )
        chmod, _, environment = own["setup_commands"]
        assert "chmod 600" in chmod
        assert "~/.bashrc" in environment
        installed = f"echo {shlex.quote(exported(self.environment))} > ~/.bashrc"
        return own | {
            "initialization_commands": [],
            "head_setup_commands": [],
            "setup_commands": [chmod, installed],
        }

    def ray(self, command: str, timeout: float = 600) -> str:
        """The output of a Ray command on the client, in the project's folder."""
        done = self.client.run(f"cd {ROOT}; {EXPORT}; ray {command}", timeout)
        return done.stdout + done.stderr

    def on_head(self, line: str, timeout: float = 600, check: bool = True) -> str:
        """The output of a command on the head, in the project's folder with a login environment."""
        done = self.head.run(f". ~/.bashrc; cd generative-bench; {line}", timeout, check)
        return done.stdout + done.stderr

    def up(self) -> None:
        """Start the cluster as the documentation describes."""
        self.ray("get-auth-token --generate")
        self.start()

    def start(self) -> None:
        """Run `ray up`, for the first time or after the head has died."""
        self.ray(f"up --yes --no-config-cache {self.file}")

    def down(self) -> str:
        """Stop the cluster as documented, on the workers of a local cluster too."""
        output = self.ray(f"down --yes {self.file}")
        for worker in self.workers:
            self.client.run(
                f"ssh -i {self.wire.key} -o StrictHostKeyChecking=no {worker.address} '. "
                f"~/.bashrc; ray stop'"
            )
        return output

    @property
    def nodes(self) -> list[Host]:
        """The head and the workers."""
        return [self.head, *self.workers]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A switch; skips with the reason if this machine cannot make hosts."""
    reason = obstacle()
    if reason:
        pytest.skip(reason)
    with Wire(tmp_path_factory.mktemp("wire")) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(wire: Wire) -> Cluster:
    """The shipped cluster.yaml, started on a head and two workers."""
    made = Cluster(wire)
    made.up()
    return made
