"""Which kind of node the autoscaler asks for next: spot, and on-demand while spot is not to be had.

Ray calls `spot_first` on the head where RAY_AUTOSCALER_UTILIZATION_SCORER names it. By itself it would ask for the kind
that fits best for ever, though the cloud has none to give.
"""

from typing import Any

SPOT = "spot"  # in the name of a node type in cluster.yaml


def spot_first(node: Any, demands: Any, node_type: str, *, node_availability_summary: Any) -> tuple[Any, ...] | None:
    """How well a kind of node serves demands, larger is better, None if not at all.

    A kind whose last launch failed, within Ray's memory of half an hour, comes after all others; then Ray's own score
    decides, and between equals spot.
    """
    from ray.autoscaler._private import resource_demand_scheduler as ray

    score = ray._default_utilization_scorer(
        node, demands, node_type, node_availability_summary=node_availability_summary
    )
    known = node_availability_summary.node_availabilities.get(node_type)
    failed = known is not None and not known.is_available
    return None if score is None else (not failed, *score, SPOT in node_type)
