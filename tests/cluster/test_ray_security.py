"""A cluster of three hosts gives correct rows, opens only documented ports, and stops cleanly."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from harness import bench
from harness.plugins.dataset import Data
from harness.storage.store import Store
from tests.cluster.conftest import EXPORT, Cluster
from tests.cluster.hosts import Host, wait
from tests.conftest import ROOT, lasting

pytestmark = pytest.mark.slow
GRID = ["--models", "vae", "gmvae", "--seeds", "2", "--iterations", "50", "--pack", "1"]
GRID += ["--samples", "200"]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
TABLE = re.findall(
    r"^\| (\d+)(?: to (\d+))? \| (head|every node) \| ([^|]+) \|", PAGE, re.MULTILINE
)
LOOPBACK, NODE, ALL = "loopback", "the node's address", "all interfaces"
HTTP = """
import sys, urllib.error, urllib.request
url, token, body = sys.argv[1:]
request = urllib.request.Request(url, body.encode() or None, {"Content-Type": "application/json"})
if token: request.add_header("Authorization", f"Bearer {token}")
try: print(urllib.request.urlopen(request, timeout=120).status)
except urllib.error.HTTPError as error: print(error.code)
except OSError: print(0)
"""
GCS = "from ray._raylet import GcsClient; GcsClient(address={!r}).internal_kv_keys(b'', None, 10)"
LOCAL = """
import json, os, subprocess, sys
from harness.execution.launcher import Resources
from harness.execution.ray_tune import RayTune
launcher = RayTune(Resources())
launcher.ray.get(launcher.ray.remote(lambda: None).remote())
def shown(*words): return subprocess.run(words, capture_output=True, text=True, env=plain)
plain = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
plain["RAY_AUTH_MODE"] = "disabled"
stranger = (
    "import sys; from ray._raylet import GcsClient; "
    "GcsClient(address=sys.argv[1]).internal_kv_keys(b'', None, 10)"
)
address = launcher.ray.get_runtime_context().gcs_address
refusal = shown(sys.executable, "-c", stranger, address)
processes, token = shown("ps", "-eo", "args=").stdout, os.environ["RAY_AUTH_TOKEN"]
print(json.dumps([processes, token, refusal.stderr]), flush=True)
input()
"""


def request(host: Host, url: str, token: str = "", body: str = "") -> int:
    """The status of an HTTP request from a host; 0 without an answer."""
    return int(host.run(f"{EXPORT}; python {shlex.join(['-c', HTTP, url, token, body])}").stdout)


def sockets(host: Host) -> set[tuple[int, str]]:
    """The listening TCP sockets of a host: port and interface."""
    where = dict.fromkeys(("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"), LOOPBACK) | {
        host.address: NODE
    }
    where |= {f"[::ffff:{host.address}]": NODE, "0.0.0.0": ALL, "*": ALL}
    ends = [line.split()[3].rsplit(":", 1) for line in host.sockets().splitlines()]
    return {(int(port), where[address]) for address, port in ends}


def documented(kinds: set[str]) -> set[tuple[int, str]]:
    """The single ports and interfaces that docs/cluster.md lists for nodes of these kinds."""
    rows = [(int(port), where) for port, last, kind, where in TABLE if kind in kinds and not last]
    return {(port, interface) for port, where in rows for interface in where.strip().split(" and ")}


@pytest.fixture(scope="module")
def token(cluster: Cluster) -> str:
    """The token of the cluster."""
    return cluster.client.run("cat ~/.ray/auth_token").stdout.strip()


@pytest.fixture(scope="module")
def grid(cluster: Cluster) -> str:
    """The output of the grid's command, run from the client before any worker exists."""
    return cluster.ray(
        f"exec {cluster.file} {shlex.quote(f'cd ~/generative-bench && {command(cluster)}')}"
    )


def command(cluster: Cluster) -> str:
    """The command that runs the grid on the cluster."""
    return f"python harness/bench.py {' '.join(GRID)} --address auto --results {cluster.results}"


def test_a_grid_over_two_workers_gives_the_rows_of_one_machine(
    cluster: Cluster, grid: str, mnist: Data, tmp_path: Path
) -> None:
    """All columns but times, hosts and run ids are equal to the bit."""
    assert "4 of 4 cells done" in grid
    assert bench.main([*GRID, "--launcher", "in-process", "--results", str(tmp_path)]) == 0
    rows, expected = Store(cluster.results).rows(), Store(tmp_path).rows()
    assert len(rows) == 4
    for cell, row in rows.items():
        assert lasting(row) == lasting(expected[cell])
    # the head trains nothing
    assert {row["host"] for row in rows.values()} <= {"worker1", "worker2"}


def test_the_same_command_on_the_cluster_does_nothing_more(cluster: Cluster, grid: str) -> None:
    before = {name: row["finished"] for name, row in Store(cluster.results).rows().items()}
    cluster.on_head(command(cluster))
    assert {name: row["finished"] for name, row in Store(cluster.results).rows().items()} == before


def test_what_listens_where_is_what_the_documentation_says(cluster: Cluster, grid: str) -> None:
    """Ports of Ray's worker processes are in the documented range and are not compared."""
    ((first, last),) = [(int(first), int(last)) for first, last, *_ in TABLE if last]
    for node in cluster.nodes:
        kinds = {"every node", "head"} if node is cluster.head else {"every node"}
        assert {found for found in sockets(node) if not first <= found[0] <= last} == documented(
            kinds
        ), node.name


def test_the_dashboard_is_out_of_reach_of_other_machines(cluster: Cluster, token: str) -> None:
    assert request(cluster.client, f"http://{cluster.head.address}:8265/api/version", token) == 0


def test_the_dashboard_comes_to_the_client_over_ssh(cluster: Cluster, token: str) -> None:
    url = "http://127.0.0.1:8265/api/version"
    with cluster.client.popen(f"cd {ROOT}; {EXPORT}; exec ray dashboard {cluster.file}") as forward:
        wait(lambda: request(cluster.client, url, token) == 200, "the forwarded dashboard")
        assert request(cluster.client, url) == 401
        forward.terminate()


@pytest.mark.parametrize("path", ["8265/api/version", "8265/api/jobs/", "8265/nodes?view=summary"])
def test_the_dashboard_and_the_job_api_answer_to_the_token_alone(
    cluster: Cluster, token: str, path: str
) -> None:
    url = f"http://127.0.0.1:{path}"
    assert [request(cluster.head, url, given) for given in ("", "0" * 64, token)] == [401, 403, 200]


def test_a_job_without_the_token_never_runs(cluster: Cluster, token: str) -> None:
    """This is ShadowRay's request (CVE-2023-48022); with the token it runs."""
    url = "http://127.0.0.1:8265/api/jobs/"
    entered = [cluster.head.home / name for name in ("stranger", "owner")]
    jobs = [json.dumps({"entrypoint": f"touch {path}"}) for path in entered]
    assert request(cluster.head, url, "", jobs[0]) == 401
    assert request(cluster.head, url, token, jobs[1]) == 200
    wait(entered[1].exists, "the owner's job")
    assert not entered[0].exists()


@pytest.mark.parametrize("port", [52365, 6382])
def test_the_agents_of_a_node_answer_to_the_token_alone(
    cluster: Cluster, token: str, port: int
) -> None:
    url = f"http://{cluster.workers[0].address}:{port}/api/job_agent/jobs/"
    assert [request(cluster.client, url, given) for given in ("", "0" * 64)] == [401, 403]
    # it is let in, and there is nothing to get
    assert request(cluster.client, url, token) in (404, 405)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ("RAY_AUTH_MODE=disabled", True),
        (f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN={'0' * 64}", True),
        ("true;", False),
    ],
    ids=["no token", "a wrong token", "the token"],
)
def test_the_gcs_answers_to_the_token_alone(cluster: Cluster, settings: str, refused: bool) -> None:
    code = GCS.format(f"{cluster.head.address}:6379")
    done = cluster.workers[0].run(f'. ~/.bashrc; {settings} python -c "{code}"', check=False)
    assert (done.returncode != 0) == refused
    assert ("InvalidAuthToken" in done.stderr) == refused


def test_the_token_lies_on_the_nodes_for_its_owner_alone(cluster: Cluster, token: str) -> None:
    for node in cluster.nodes:
        file = node.home / ".ray" / "auth_token"
        assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (token, 0o600)


def test_a_grids_own_ray_is_for_this_machine_and_its_user_alone(cluster: Cluster) -> None:
    """All sockets are on loopback, and the token is in no file or command line."""
    before = sockets(cluster.client)
    line = (
        f"{EXPORT} PYTHONPATH={ROOT}; unset RAY_AUTH_MODE; mv ~/.ray ~/.mine; python -c "
        f"{shlex.quote(LOCAL)}"
    )
    with cluster.client.popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        processes, token, refusal = json.loads(process.stdout.readline())
        opened = sockets(cluster.client) - before
        process.communicate("\n")
    cluster.client.run("test ! -e ~/.ray/auth_token; rm -rf ~/.ray; mv ~/.mine ~/.ray")
    assert len(opened) > 5
    assert {interface for _, interface in opened} == {LOOPBACK}
    assert token not in processes
    assert "InvalidAuthToken" in refusal


def test_ending_the_cluster_leaves_nothing(cluster: Cluster) -> None:
    """This test is the last of the file; it stops the cluster as documented."""
    cluster.down()
    for node in cluster.nodes:
        wait(lambda node=node: not running(node), f"the end of {node.name}")  # type: ignore[misc]


def running(host: Host) -> list[str]:
    """The processes of Ray on a host."""
    return [
        command for command in host.processes() if "/ray/" in command or command.startswith("ray::")
    ]
