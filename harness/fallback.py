"""Deprecated path to Ray's autoscaler, now in `harness.execution.autoscaler`; version 0.1 used it.
"""

from harness.execution.autoscaler import spot_first as spot_first

__all__ = ["spot_first"]
