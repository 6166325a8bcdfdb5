"""The shipped cluster.yaml and its local variant are valid for Ray, and spot workers come first."""

import importlib
import re
import time
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.execution.autoscaler import spot_first
from tests.cluster.conftest import SHIPPED, on_premise
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
WORKERS = ("worker.spot", "worker.on-demand")
TRIALS = [{"CPU": 1, "GPU": 0.25}] * 16  # as `--gpus-per-trial 0.25` asks for


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in and check a file as `ray up` does."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    ready: dict[str, Any] = prepare_config(deepcopy(config))
    validate_config(ready)
    return ready


def test_the_file_as_shipped_is_valid() -> None:
    ready = prepared(SHIPPED)
    assert ready["head_node_type"] == "head"
    assert ready["available_node_types"]["head"]["max_workers"] == 0


def test_the_three_lines_of_the_documentation_make_it_one_of_own_machines() -> None:
    """The block of docs/cluster.md replaces three lines, and the node types are deleted."""
    block = next(
        block
        for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
        if "type: local" in block
    )
    lines = yaml.safe_load(block)
    provider, auth = lines["provider"], lines["auth"]
    own = on_premise(
        provider["head_ip"], provider["worker_ips"], auth["ssh_user"], auth["ssh_private_key"]
    )
    assert own.items() >= lines.items()
    (node,) = prepared(own)["available_node_types"].values()
    assert (node["min_workers"], node["max_workers"]) == (2, 2)


def test_whatever_starts_a_node_has_the_token_and_shows_the_dashboard_to_nobody() -> None:
    """The environment with the token is in ~/.bashrc; the dashboard's host is set explicitly."""
    assert any(
        "RAY_AUTH_MODE=token" in command and "~/.bashrc" in command
        for command in SHIPPED["setup_commands"]
    )
    starts = SHIPPED["head_start_ray_commands"] + SHIPPED["worker_start_ray_commands"]
    assert all(command.startswith(". ~/.bashrc;") for command in starts)
    assert "--dashboard-host=127.0.0.1" in SHIPPED["head_start_ray_commands"][-1]


@pytest.fixture
def bootstrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The file after Ray's set-up in a simulated AWS (moto)."""
    moto = pytest.importorskip("moto", reason="moto is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # Ray gives AWS time to spread its news
    with moto.mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        from ray.autoscaler._private.aws.config import bootstrap_aws

        yield bootstrap_aws(prepared(SHIPPED))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_on_aws_the_world_reaches_ssh_and_nothing_else(bootstrapped: dict[str, Any]) -> None:
    boto3 = pytest.importorskip("boto3")
    kinds = bootstrapped["available_node_types"].values()
    ids = {group for kind in kinds for group in kind["node_config"]["SecurityGroupIds"]}
    ec2 = boto3.client("ec2", SHIPPED["provider"]["region"])
    (group,) = ec2.describe_security_groups(GroupIds=list(ids))["SecurityGroups"]
    world = [
        rule
        for rule in group["IpPermissions"]
        if rule["IpRanges"] or rule["Ipv6Ranges"] or rule["PrefixListIds"]
    ]
    inside = [rule for rule in group["IpPermissions"] if rule not in world]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in world] == [
        ("tcp", 22, 22)
    ]
    assert [pair["GroupId"] for rule in inside for pair in rule["UserIdGroupPairs"]] == [
        group["GroupId"]
    ]


def next_nodes(failed: str | None, demands: list[Any], existing: dict[str, int]) -> dict[str, int]:
    """The nodes that Ray's autoscaler starts by our ranking after a failed launch of one kind."""
    from ray.autoscaler._private.node_provider_availability_tracker import (
        NodeProviderAvailabilityTracker,
    )
    from ray.autoscaler._private.resource_demand_scheduler import get_nodes_for
    from ray.autoscaler.node_launch_exception import NodeLaunchException

    tracker = NodeProviderAvailabilityTracker()
    for kind in WORKERS:
        error = (
            NodeLaunchException("InsufficientInstanceCapacity", "none to give", None)
            if kind == failed
            else None
        )
        tracker.update_node_availability(kind, int(time.time()), error)
    kinds = prepared(SHIPPED)["available_node_types"]
    ranking: Any = partial(spot_first, node_availability_summary=tracker.summary())
    chosen, _ = get_nodes_for(kinds, existing, "head", SHIPPED["max_workers"], demands, ranking)
    return dict(chosen)


def test_spot_workers_are_asked_for_first() -> None:
    assert next_nodes(None, TRIALS, {"head": 1}) == {"worker.spot": 4}


def test_on_demand_workers_are_asked_for_where_spot_is_not_to_be_had() -> None:
    assert next_nodes("worker.spot", TRIALS, {"head": 1}) == {"worker.on-demand": 4}


def test_spot_workers_go_on_being_asked_for_where_on_demand_is_used_up() -> None:
    full = {"head": 1, "worker.on-demand": 4}
    assert next_nodes("worker.spot", TRIALS, full) == {"worker.spot": 4}


def test_what_no_kind_can_grant_starts_nothing() -> None:
    assert next_nodes(None, [{"CPU": 1, "GPU": 2}], {"head": 1}) == {}


def test_the_head_finds_our_ranking_by_its_name() -> None:
    (command,) = [
        line for line in SHIPPED["head_start_ray_commands"] if "UTILIZATION_SCORER" in line
    ]
    ((module, name),) = re.findall(r"UTILIZATION_SCORER=(\S+)\.(\w+)", command)
    assert getattr(importlib.import_module(module), name) is spot_first
    assert "RAY_enable_autoscaler_v2=0" in command  # the second version does not ask
