"""Runs trials as Ray Tune trials over the CPUs and GPUs of a machine or a cluster."""

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.errors import InputError
from harness.execution import autoscaler
from harness.execution.launcher import Resources, UpdateCallback
from harness.execution.ray_session import import_ray, init_options
from harness.execution.retries import RetryQueue
from harness.execution.shutdown import StopRequest
from harness.execution.tune_hooks import make_callback, make_searcher, make_stopper
from harness.execution.watchdog import Watchdog
from harness.plugins.dataset import Data
from harness.storage.store import Store
from harness.training.task import Task

PATIENCE_SECONDS = 30 * 60.0  # seconds without news of any trial, then the run ends

# a second that the driver is told by all trials together; each takes milliseconds of it
MAX_REPORTS_PER_SECOND = 50

# between two of a trial, at least and at most: an end has to be heard of, too
REPORT_SECONDS = (1.0, 10.0)

# trials, at least, that Ray knows beforehand: machines are asked for, processes kept for the next
MIN_PENDING_TRIALS = 200

# for a cluster's first worker: a cloud starts it, and installs this project on it
JOIN_SECONDS = 900.0


class RayTune:
    """Tune trials over the machine's, or a cluster's, CPUs and GPUs."""

    def __init__(
        self, resources: Resources, address: str | None = None, patience: float = PATIENCE_SECONDS
    ):
        address = import_ray(address)
        import ray

        self.resources, self.ray, self.patience = resources, ray, patience
        try:
            with warnings.catch_warnings(action="ignore"):
                ray.init(address, **init_options(address))
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"no Ray cluster at {address!r} ({reason}); expected auto or ray://HOST:PORT"
            ) from None
        try:
            self.slots = self._count_slots(address)
        except InputError:
            self.close()
            raise

    def run(
        self,
        tasks: Sequence[Task],
        sets: Mapping[str, Data],
        store: Store,
        on_update: UpdateCallback,
        stop: StopRequest,
    ) -> None:
        """One Tune trial a task, in the order of the tasks, actors reused; what remains of one that
        died is another.

        Tasks and data sets lie in Ray's object store: they reach each node once, and its workers
        share one copy.
        """
        from ray import tune

        from harness.execution.ray_worker import Worker, to_arrays

        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(MIN_PENDING_TRIALS, self.slots))
        granted = {"cpu": self.resources.cpus, "gpu": self.resources.gpus}
        report_seconds = min(
            max(self.slots / MAX_REPORTS_PER_SECOND, REPORT_SECONDS[0]), REPORT_SECONDS[1]
        )
        ready = [
            replace(task, report_seconds=report_seconds) for task in self.resources.grant(tasks)
        ]
        tries = RetryQueue(ready, store)
        worker = tune.with_resources(
            tune.with_parameters(Worker, tasks=ready, sets=to_arrays(sets)), granted
        )
        with (
            tempfile.TemporaryDirectory(prefix="tune-") as scratch,
            Watchdog(self.patience, tries, stop) as watchdog,
        ):
            tune.Tuner(
                worker,
                tune_config=tune.TuneConfig(
                    search_alg=make_searcher(tries), num_samples=-1, reuse_actors=True
                ),
                run_config=tune.RunConfig(
                    name="grid",
                    storage_path=scratch,
                    verbose=0,
                    stop=make_stopper(stop),
                    # else no process is used again
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    callbacks=[make_callback(tries, on_update, watchdog, stop)],
                ),
            ).fit()
        if stop.requested:
            raise KeyboardInterrupt

    def _count_slots(self, address: str) -> int:
        """Trials side by side on the cluster at its largest; where none fits yet, a worker is
        waited for.
        """
        config = (
            None
            if address.startswith("ray://")
            else autoscaler.find_config(self.ray.get_runtime_context().gcs_address)
        )
        limit = autoscaler.max_slots(config, self.resources.slots_on) if config else 0
        if not any(map(self.resources.slots_on, self._node_resources())) and (
            limit or not self.ray.cluster_resources().get("CPU")
        ):
            self._wait_for_worker()
        return max(limit, self.resources.slots(self._node_resources()))

    def _node_resources(self) -> list[Mapping[str, float]]:
        """What each node has that is there."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _wait_for_worker(self) -> None:
        """The machines of a cluster may come when something is asked of it: ask for a trial's share
        and wait for it.
        """
        print(
            f"no worker yet: waiting for the cluster's first, at most {JOIN_SECONDS / 60:g} "
            f"minutes",
            flush=True,
        )
        share = self.ray.remote(num_cpus=self.resources.cpus, num_gpus=self.resources.gpus)
        self.ray.wait([share(_noop).remote()], timeout=JOIN_SECONDS)

    def close(self) -> None:
        """Leave Ray."""
        self.ray.shutdown()


def _noop() -> None:
    """What runs where a worker is waited for."""
