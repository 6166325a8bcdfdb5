"""The plan for a growing cluster counts the workers that its file allows, not those present."""

import json
import secrets
from typing import Any

import pytest
import yaml

from harness.execution import autoscaler
from harness.execution.launcher import Resources
from tests.cluster.conftest import INSTALLED, SHIPPED, exported
from tests.cluster.hosts import Wire
from tests.conftest import ROOT

# The head has CPUs. Workers with a GPU, which is only declared, come when they are asked for, two
# at most.
FILE: dict[str, Any] = {
    "cluster_name": "growing",
    "max_workers": 3,
    "idle_timeout_minutes": 5,
    "provider": {"type": "fake_multinode", "disable_node_updaters": True},
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0},
        "worker": {"resources": {"CPU": 2, "GPU": 1}, "node_config": {}, "max_workers": 2},
    },
}
COMMANDS = (
    "initialization",
    "setup",
    "head_setup",
    "worker_setup",
    "head_start_ray",
    "worker_start_ray",
)
NOTHING: dict[str, Any] = {  # what Ray asks every file for
    **{f"{name}_commands": [] for name in COMMANDS},
    **dict[str, Any](
        auth={}, docker={}, file_mounts={}, cluster_synced_files=[], upscaling_speed=1.0
    ),
}
LAUNCH = """
import json, sys
from harness.errors import InputError
from harness.execution.launcher import Resources
from harness.execution.ray_tune import RayTune
def slots(gpus):
    launcher = RayTune(Resources(1, gpus), "auto")
    launcher.close()
    return launcher.slots
try: slots(2.0)
except InputError as error: print(json.dumps(str(error)))
print(json.dumps([slots(0.5), slots(0.0)]))
"""


def test_a_plan_counts_on_the_workers_that_the_shipped_file_allows() -> None:
    """At most eight of the twelve workers are up at once."""
    assert autoscaler.max_slots(SHIPPED, Resources(1, 0.25).slots_on) == 8 * 4
    assert autoscaler.max_slots(SHIPPED, Resources(1, 2.0).slots_on) == 0


def test_machines_of_ones_own_are_counted_when_they_are_there() -> None:
    """The file does not contain their resources."""
    kinds = {"local.cluster.node": {"resources": {}, "max_workers": 2}}
    file = {"max_workers": 2, "head_node_type": "local.cluster.node", "available_node_types": kinds}
    assert autoscaler.max_slots(file, Resources(1).slots_on) == 0


def test_the_file_of_another_cluster_is_not_read() -> None:
    assert autoscaler.find_config("198.51.100.1:1") is None


@pytest.fixture(scope="module")
def output(wire: Wire) -> list[Any]:
    """The launcher's output on a cluster that has only a head with two CPUs."""
    host = wire.host("growing", 50)
    (host.home / "cluster.yaml").write_text(yaml.safe_dump(FILE | NOTHING))
    quick = {
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "0",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    own = {"PYTHONPATH": str(ROOT), "RAY_AUTH_TOKEN": secrets.token_hex()}
    environment = f"cd {ROOT}; {exported(INSTALLED | own | quick)}"
    flags = (
        f"--node-ip-address={host.address} --num-cpus=2 --num-gpus=0 "
        f"--autoscaling-config=~/cluster.yaml"
    )
    host.run(f"{environment}; ray start --head --port=6379 {flags} > ~/start.log 2>&1")
    (host.home / "launch.py").write_text(LAUNCH)
    lines = host.run(f"{environment}; python ~/launch.py 2> ~/launch.log").stdout.splitlines()
    return [json.loads(line) if line[0] in '"[' else line for line in lines]


@pytest.mark.slow
def test_a_worker_that_the_autoscaler_can_start_is_waited_for(output: list[Any]) -> None:
    """There are CPUs, and no GPU yet."""
    assert output[1] == "no worker yet: waiting up to 15 minutes for the first"


@pytest.mark.slow
def test_a_plan_counts_on_all_workers_that_the_autoscaler_may_start(output: list[Any]) -> None:
    """Two GPUs, of which one exists, are shared by two trials each; there are six CPUs."""
    assert output[2] == [4, 6]


@pytest.mark.slow
def test_what_no_worker_could_grant_is_refused_at_once(output: list[Any]) -> None:
    assert (
        output[0] == "a trial needs 1 CPUs and 2 GPUs on one machine; available: 2 CPUs and 0 GPUs"
    )
