"""Deprecated name of `harness.execution.autoscaler`: kept for plug-ins and scripts of version 0.1."""

from harness.execution.autoscaler import spot_first as spot_first
