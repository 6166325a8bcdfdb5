"""Ray's autoscaler: which type of node it starts next, and how large a cluster may grow.

Ray calls `spot_first` on the head where RAY_AUTOSCALER_UTILIZATION_SCORER names it. By itself it
asks for the best-fitting type again and again, even if the cloud has none left.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

SPOT = "spot"  # in the name of a node type in cluster.yaml


def spot_first(
    node: Any, demands: Any, node_type: str, *, node_availability_summary: Any
) -> tuple[Any, ...] | None:
    """The score of a node type for the demands: larger is better, None if it fits none.

    A type whose last launch failed within half an hour comes after all others. Then Ray's own
    score decides, and spot nodes win a tie.
    """
    from ray.autoscaler._private import resource_demand_scheduler as ray

    score = ray._default_utilization_scorer(
        node, demands, node_type, node_availability_summary=node_availability_summary
    )
    known = node_availability_summary.node_availabilities.get(node_type)
    failed = known is not None and not known.is_available
    return None if score is None else (not failed, *score, SPOT in node_type)


Node = Mapping[str, float]  # the resources of a node, by Ray's names


def find_config(gcs_address: str) -> dict[str, Any] | None:
    """The configuration of the cluster with this GCS (HOST:PORT).

    None for a cluster without one, and on any machine but its head.
    """
    for process in psutil.process_iter(["cmdline"]):
        words = (word.partition("=") for word in process.info["cmdline"] or [])
        flags = {name: value for name, _, value in words}
        if flags.get("--gcs-address") == gcs_address and flags.get("--autoscaling-config"):
            config: dict[str, Any] = yaml.safe_load(
                Path(flags["--autoscaling-config"]).expanduser().read_text()
            )
            return config
    return None


def max_slots(config: Mapping[str, Any], count_fitting: Callable[[Node], int]) -> int:
    """Trials side by side on all nodes that a cluster's configuration allows.

    `count_fitting` counts the trials that fit on one node. Types without resources in the
    configuration, as in on-premise clusters, count as zero.

    >>> worker = {"resources": {"CPU": 4}, "max_workers": 9}
    >>> kinds = {"head": {"resources": {"CPU": 1}}, "worker": worker}
    >>> config = {"max_workers": 2, "head_node_type": "head", "available_node_types": kinds}
    >>> max_slots(config, lambda node: int(node["CPU"]))
    9
    """
    kinds, limit = config.get("available_node_types", {}), config.get("max_workers", 0)
    slots = {name: count_fitting(kind.get("resources", {})) for name, kind in kinds.items()}
    head = config.get("head_node_type")
    workers = [
        slots[name]
        for name in kinds
        if name != head
        for _ in range(kinds[name].get("max_workers", limit))
    ]
    return slots.get(head, 0) + sum(sorted(workers, reverse=True)[:limit])
