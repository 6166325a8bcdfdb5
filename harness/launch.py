"""Runs tasks: in this process, or as Ray Tune trials. The only file of a run that imports ray.

The harness owns the plan and lends Ray the work: rows are written by the workers, nothing is read back from Tune.
"""

import functools
import logging
import math
import os
import secrets
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from harness import trial
from harness.data import Data
from harness.errors import BadInput
from harness.store import Store
from harness.trial import Task, Update

RETRIES = 3  # of a trial whose process or machine died; it goes on from its checkpoints
OBJECT_STORE_BYTES = 2**30  # at most; the largest data set takes a quarter
JOIN_SECONDS = 900.0  # for a cluster's first worker: a cloud starts it, and installs this project on it
Watch = Callable[[int, Update], None]


@dataclass(frozen=True)
class Resources:
    """What one trial is granted; GPUs may be a fraction."""

    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.cpus < 1:
            raise BadInput(f"CPUs per trial {self.cpus}: expected at least 1")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise BadInput(f"GPUs per trial {self.gpus:g}: expected a fraction of one GPU or a whole number of them")

    def slots(self, offered: Mapping[str, float]) -> int:
        """Trials that run side by side; a share that nothing can grant is refused before Ray waits for it forever.

        >>> Resources(cpus=1, gpus=0.25).slots({"CPU": 16.0, "GPU": 2.0})
        8
        """
        cpus, gpus = offered.get("CPU", 0.0), offered.get("GPU", 0.0)
        slots = min(cpus // self.cpus, gpus // self.gpus if self.gpus else math.inf)
        if slots < 1:
            asked, have = f"{self.cpus} CPUs and {self.gpus:g} GPUs", f"{cpus:g} CPUs and {gpus:g} GPUs"
            raise BadInput(f"a trial asks for {asked}; there are {have}")
        return int(slots)

    def slots_here(self) -> int:
        """Trials side by side on this machine, at least one: a plan for GPUs can be made where there are none."""
        cpus, gpus = (os.cpu_count() or 1) // self.cpus, max(1, torch.cuda.device_count())
        return max(1, int(min(cpus, gpus // self.gpus) if self.gpus else cpus))

    def grant(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks with their threads and device."""
        return [replace(task, threads=self.cpus, gpus=self.gpus) for task in tasks]


class Launcher(Protocol):
    """What runs tasks, `slots` side by side, and tells how they stand."""

    slots: int

    def run(self, tasks: Sequence[Task], sets: Mapping[str, Data], watch: Watch) -> None:
        """Run all tasks on the data sets; `watch(index, update)` is called as task `index` moves.

        Every cell has a row at the end.
        """


class InProcess:
    """One task after another in this process: for tests, debugging and machines without Ray."""

    slots = 1

    def __init__(self, resources: Resources):
        self.resources = resources

    def run(self, tasks: Sequence[Task], sets: Mapping[str, Data], watch: Watch) -> None:
        """Run the tasks in order."""
        for index, task in enumerate(self.resources.grant(tasks)):
            trial.run(task, sets[task.cells[0].dataset], functools.partial(watch, index))


class RayTune:
    """Tune trials over the machine's, or a cluster's, CPUs and GPUs."""

    def __init__(self, resources: Resources, address: str | None = None):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
        os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        if address == "local":
            _keep_to_this_machine()
        import ray

        self.resources, self.ray = resources, ray
        try:
            with warnings.catch_warnings(action="ignore"):
                ray.init(address, **_options(address))
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(f"no Ray cluster at {address!r} ({reason}); expected auto or ray://HOST:PORT") from None
        try:
            self._await_a_worker()
            self.slots = self.resources.slots(ray.cluster_resources())
        except BadInput:
            self.close()
            raise

    def run(self, tasks: Sequence[Task], sets: Mapping[str, Data], watch: Watch) -> None:
        """One Tune trial a task, actors reused; a trial whose process dies is tried again, then its cells fail.

        Tasks and data sets lie in Ray's object store: they reach each node once, and its workers share one copy.
        """
        from ray import tune

        granted = {"cpu": self.resources.cpus, "gpu": self.resources.gpus}
        ready = self.resources.grant(tasks)
        trainable = tune.with_resources(tune.with_parameters(_trainable, tasks=ready, sets=_arrays(sets)), granted)
        with tempfile.TemporaryDirectory(prefix="tune-") as scratch:
            tune.Tuner(
                trainable,
                param_space={"task": tune.grid_search(list(range(len(ready))))},
                tune_config=tune.TuneConfig(reuse_actors=True),
                run_config=tune.RunConfig(
                    name="grid",
                    storage_path=scratch,
                    verbose=0,
                    callbacks=[_watcher(ready, watch)],
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                ),
            ).fit()

    def _await_a_worker(self) -> None:
        """A cluster may be a head alone until something is asked of it: ask for a trial's share and wait for it."""
        if not self.ray.cluster_resources().get("CPU"):
            print(f"no worker yet: waiting for the cluster's first, at most {JOIN_SECONDS / 60:g} minutes", flush=True)
            share = self.ray.remote(num_cpus=self.resources.cpus, num_gpus=self.resources.gpus)
            self.ray.wait([share(_nothing).remote()], timeout=JOIN_SECONDS)

    def close(self) -> None:
        """Leave Ray."""
        self.ray.shutdown()


def _keep_to_this_machine() -> None:
    """A Ray of our own listens on loopback alone, to those who know a token that is nowhere written down."""
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's name for it: 1 listens on every interface
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())


def _nothing() -> None:
    """What runs where a worker is waited for."""


def _options(address: str) -> dict[str, Any]:
    """What `ray.init` is told: to be quiet and, on this machine alone, how much of it to take."""
    logging.getLogger("ray.client_builder").setLevel(logging.ERROR)
    if address.startswith("ray://"):
        return {}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    local = {"num_cpus": os.cpu_count(), "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    return quiet | local if address == "local" else quiet


Arrays = Mapping[str, Mapping[str, Any]]


def _arrays(sets: Mapping[str, Data]) -> Arrays:
    """Data sets as numpy arrays, which Ray's workers map into their memory; tensors would be copied into each."""

    def plain(value: Any) -> Any:
        return value.numpy() if isinstance(value, torch.Tensor) else value

    return {name: {field: plain(value) for field, value in vars(data).items()} for name, data in sets.items()}


def _shared(arrays: Mapping[str, Any]) -> Data:
    """The data set on its arrays, without a copy; nothing writes to them."""
    with warnings.catch_warnings(action="ignore"):  # torch warns of arrays that are read-only
        fields: dict[str, Any] = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in arrays.items()
        }
    return Data(**fields)


def _trainable(config: dict[str, Any], tasks: Sequence[Task], sets: Arrays) -> None:
    from ray import tune

    task = tasks[config["task"]]
    data = _shared(sets[task.cells[0].dataset])
    trial.run(task, data, lambda update: tune.report(asdict(update)))


def _watcher(tasks: Sequence[Task], watch: Watch) -> Any:
    """A Tune callback: passes updates on and writes the rows of a trial that Ray gave up."""
    from ray import tune

    class Watcher(tune.Callback):
        def __init__(self, tasks: Sequence[Task], watch: Watch):
            self.tasks, self.watch = tasks, watch

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune keeps a copy of its callbacks on disk; ours watches this process alone

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            fields = {name: result[name] for name in ("steps", "step_seconds", "nelbo", "ended")}
            self.watch(trial.config["task"], Update(**fields))

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            index = trial.config["task"]
            ended = give_up(self.tasks[index], f"its process died {RETRIES + 1} times")
            self.watch(index, Update(ended=ended))

    return Watcher(tasks, watch)


def give_up(task: Task, reason: str) -> dict[str, str]:
    """Write a failed row for every cell of the task that has no finished one, and say how each cell ended."""
    store = Store(task.results)
    ended = {}
    for cell in task.cells:
        row = store.row(cell.id)
        if row is None or row["run"] != task.run:
            trial.write_row(store, task, cell, "failed", {"error": reason})
        ended[cell.id] = (store.row(cell.id) or {})["status"]
    return ended
