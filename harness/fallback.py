"""Deprecated path of version 0.1 to the autoscaler: use `harness.execution.autoscaler`."""

from harness.execution.autoscaler import spot_first as spot_first

__all__ = ["spot_first"]
