"""Runs trials as Ray Tune trials over the CPUs and GPUs of a machine or a cluster."""

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import InputError
from harness.execution import autoscaler
from harness.execution.launcher import Resources, UpdateCallback
from harness.execution.ray_session import import_ray, start_ray
from harness.execution.retries import RetryQueue
from harness.execution.shutdown import StopRequest
from harness.execution.studies.study import Study
from harness.execution.watchdog import Watchdog
from harness.experiment.cell import Cell
from harness.experiment.search.spec import SearchSpec
from harness.plugins.dataset import Data
from harness.storage.store import Store
from harness.training.task import Task

PATIENCE_SECONDS = 30 * 60.0  # seconds without news of any trial, then the run ends

# of all trials together: a report takes the driver some milliseconds
MAX_REPORTS_PER_SECOND = 50

# between two reports of a trial, at least and at most: the last one says that the trial has ended
REPORT_SECONDS = (1.0, 10.0)

# trials, at least, that Ray queues: it asks for machines for them, and reuses processes
MIN_PENDING_TRIALS = 200

# wait for a cluster's first worker, in which a cloud starts a machine and installs this project
JOIN_SECONDS = 900.0


class RayTune:
    """Runs trials with Ray Tune on this machine or a cluster; InputError where there is none."""

    def __init__(
        self, resources: Resources, address: str | None = None, patience: float = PATIENCE_SECONDS
    ):
        address = import_ray(address)
        import ray

        self.resources, self.ray, self.patience = resources, ray, patience
        self.is_guest = ray.is_initialized()  # in a notebook that uses Ray itself
        try:
            with warnings.catch_warnings(action="ignore"):
                if not self.is_guest:
                    start_ray(address)
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
        """Run one Tune trial for each task, in their order; unfinished work of a trial that died
        becomes another trial.

        Tasks and data sets are put into Ray's object store: each node fetches them once, and its
        workers share the copy.
        """
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(MIN_PENDING_TRIALS, self.slots))
        seconds = min(
            max(self.slots / MAX_REPORTS_PER_SECOND, REPORT_SECONDS[0]), REPORT_SECONDS[1]
        )
        granted = [replace(task, report_seconds=seconds) for task in self.resources.grant(tasks)]
        queue = RetryQueue(granted, store)
        with (
            tempfile.TemporaryDirectory(prefix="tune-") as scratch,
            Watchdog(self.patience, queue, stop) as watchdog,
        ):
            trainable = self._make_trainable(granted, sets)
            _make_tuner(trainable, scratch, queue, on_update, watchdog, stop).fit()
        if stop.requested:
            raise KeyboardInterrupt

    def run_study(
        self, study: Study, sets: Mapping[str, Data], store: Store, stop: StopRequest
    ) -> list[Cell]:
        """Run the open trials of a study, whose points the user's searcher proposes; the cells.

        Their rows are in the store at the end. KeyboardInterrupt after `stop` is requested.
        """
        from harness.execution.studies import tuning

        with tempfile.TemporaryDirectory(prefix="tune-") as scratch:
            cells = tuning.run(study, sets, store, stop, self.resources, self.slots, scratch)
        if stop.requested:
            raise KeyboardInterrupt
        return cells

    def _make_trainable(self, tasks: Sequence[Task], sets: Mapping[str, Data]) -> Any:
        """The class of the workers, with the resources of a trial and the shared data."""
        from ray import tune

        from harness.execution.ray_worker import Worker, to_arrays

        resources = {"cpu": self.resources.cpus, "gpu": self.resources.gpus}
        shared = tune.with_parameters(Worker, tasks=tasks, sets=to_arrays(sets))
        return tune.with_resources(shared, resources)

    def _count_slots(self, address: str) -> int:
        """Concurrent trials on the cluster at its largest; waits for a worker if none fits yet."""
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
        """The resources of each node that is alive."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _wait_for_worker(self) -> None:
        """Ask for the resources of a trial and wait: a cluster may add machines on demand."""
        print(
            f"no worker yet: waiting up to {JOIN_SECONDS / 60:g} minutes for the first",
            flush=True,
        )
        share = self.ray.remote(num_cpus=self.resources.cpus, num_gpus=self.resources.gpus)
        self.ray.wait([share(_noop).remote()], timeout=JOIN_SECONDS)

    def close(self) -> None:
        """Leave Ray, unless this process had connected to it before."""
        if not self.is_guest:
            self.ray.shutdown()


def check_own_objects(spec: SearchSpec, address: str | None) -> None:
    """InputError where the searcher or scheduler that a search names cannot be made."""
    import_ray(address)
    from harness.execution.studies import own_objects

    own_objects.check_names(spec)


def _make_tuner(
    trainable: Any,
    scratch: str,
    queue: RetryQueue,
    on_update: UpdateCallback,
    watchdog: Watchdog,
    stop: StopRequest,
) -> Any:
    """A tuner that runs the units of a queue and keeps its own files in the folder `scratch`."""
    from ray import tune

    from harness.execution.tune_hooks import QueueCallback, QueueSearcher, make_run_config

    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=QueueSearcher(queue), num_samples=-1, reuse_actors=True
        ),
        run_config=make_run_config(
            "grid", scratch, stop, QueueCallback(queue, on_update, watchdog, stop)
        ),
    )


def _noop() -> None:
    """The task that asks a cluster for its first worker."""
