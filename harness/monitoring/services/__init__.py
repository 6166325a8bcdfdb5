"""Trackers of services that keep experiments. Importing this package registers them."""

from harness.monitoring.services import mlflow as mlflow
from harness.monitoring.services import trackio as trackio
from harness.monitoring.services import wandb as wandb
