"""Runs tasks: in this process, or as Ray Tune trials. With `worker`, the only file of a run that imports ray.

The harness owns the plan and lends Ray the work: rows are written by the workers, nothing is read back from Tune.
"""

import logging
import os
import secrets
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, Self

import torch

from harness.data.idx_sets import Data
from harness.errors import BadInput, StorageFailure
from harness.execution import growth, trial
from harness.execution.arrays import plain
from harness.execution.heartbeat import is_at_work
from harness.execution.retries import Tries
from harness.execution.shutdown import Stop
from harness.execution.trial import Task, Update
from harness.execution.watchdog import Watchdog
from harness.training.process_tuning import uncollected

PATIENCE = 30 * 60.0  # seconds without news of any trial, then the run ends
REPORTS = 50  # a second that the driver is told by all trials together; each takes milliseconds of it
REPORT_SECONDS = (1.0, 10.0)  # between two of a trial, at least and at most: an end has to be heard of, too
PENDING = 200  # trials, at least, that Ray knows beforehand: machines are asked for, processes kept for the next
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

    def slots(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """Trials that run side by side; a share that no node can grant is refused before Ray waits for it forever.

        A trial lies on one node, and a fraction on one GPU, so what is left over on each adds up to nothing.

        >>> Resources(cpus=1, gpus=0.4).slots([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 64.0}])
        4
        """
        slots = sum(map(self.on, nodes))
        if slots < 1:
            asked = f"{self.cpus} CPUs and {self.gpus:g} GPUs"
            have = " or ".join(sorted({f"{n.get('CPU', 0.0):g} CPUs and {n.get('GPU', 0.0):g} GPUs" for n in nodes}))
            raise BadInput(f"a trial asks for {asked}, on one machine; there are {have or 'no machines'}")
        return slots

    def on(self, node: Mapping[str, float]) -> int:
        """Trials that fit on a node."""
        cpus, gpus = node.get("CPU", 0.0), node.get("GPU", 0.0)
        by_cpu = int(cpus // self.cpus)
        if not self.gpus:
            return by_cpu
        if self.gpus >= 1:
            return min(by_cpu, int(gpus // self.gpus))
        return min(by_cpu, int(gpus) * int(1 / self.gpus + 1e-9))  # 1 // 0.1 is 9

    def slots_here(self) -> int:
        """Trials side by side on this machine, at least one: a plan for GPUs can be made where there are none."""
        return max(1, self.on({"CPU": os.cpu_count() or 1, "GPU": max(1, torch.cuda.device_count())}))

    def grant(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks with their threads and device."""
        return [replace(task, threads=self.cpus, gpus=self.gpus) for task in tasks]


class Launcher(Protocol):
    """What runs tasks, `slots` side by side, and tells how they stand."""

    slots: int

    def run(self, tasks: Sequence[Task], sets: Mapping[str, Data], watch: Watch, stop: Stop) -> None:
        """Run all tasks on the data sets; `watch(index, update)` is called as task `index` moves.

        Every cell has a row at the end. Where `stop` is asked, trials save checkpoints and KeyboardInterrupt is raised.
        """


class InProcess:
    """One task after another in this process: for tests, debugging and machines without Ray."""

    slots = 1

    def __init__(self, resources: Resources):
        self.resources = resources

    def run(self, tasks: Sequence[Task], sets: Mapping[str, Data], watch: Watch, stop: Stop) -> None:
        """Run the tasks in order."""
        for index, task in enumerate(self.resources.grant(tasks)):
            updates = trial.run(task, sets[task.cells[0].dataset])
            for update in updates:
                watch(index, update)
                if stop.asked:
                    updates.close()
                    raise KeyboardInterrupt


class RayTune:
    """Tune trials over the machine's, or a cluster's, CPUs and GPUs."""

    def __init__(self, resources: Resources, address: str | None = None, patience: float = PATIENCE):
        address = import_ray(address)
        import ray

        self.resources, self.ray, self.patience = resources, ray, patience
        try:
            with warnings.catch_warnings(action="ignore"):
                ray.init(address, **_options(address))
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(f"no Ray cluster at {address!r} ({reason}); expected auto or ray://HOST:PORT") from None
        try:
            self.slots = self._slots(address)
        except BadInput:
            self.close()
            raise

    def run(self, tasks: Sequence[Task], sets: Mapping[str, Data], watch: Watch, stop: Stop) -> None:
        """One Tune trial a task, in the order of the tasks, actors reused; what remains of one that died is another.

        Tasks and data sets lie in Ray's object store: they reach each node once, and its workers share one copy.
        """
        from ray import tune

        from harness.execution.ray_worker import Worker

        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(PENDING, self.slots))
        granted = {"cpu": self.resources.cpus, "gpu": self.resources.gpus}
        pause = min(max(self.slots / REPORTS, REPORT_SECONDS[0]), REPORT_SECONDS[1])
        ready = [replace(task, report_seconds=pause) for task in self.resources.grant(tasks)]
        tries = Tries(ready)
        worker = tune.with_resources(tune.with_parameters(Worker, tasks=ready, sets=plain(sets)), granted)
        with tempfile.TemporaryDirectory(prefix="tune-") as scratch, Watchdog(self.patience, tries, stop) as dog:
            tune.Tuner(
                worker,
                tune_config=tune.TuneConfig(search_alg=_queue(tries), num_samples=-1, reuse_actors=True),
                run_config=tune.RunConfig(
                    name="grid",
                    storage_path=scratch,
                    verbose=0,
                    stop=_stopper(stop),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # else no process is used again
                    callbacks=[_watcher(tries, watch, dog, stop)],
                ),
            ).fit()
        if stop.asked:
            raise KeyboardInterrupt

    def _slots(self, address: str) -> int:
        """Trials side by side on the cluster at its largest; where none fits yet, a worker is waited for."""
        file = None if address.startswith("ray://") else growth.told(self.ray.get_runtime_context().gcs_address)
        most = growth.most(file, self.resources.on) if file else 0
        if not any(map(self.resources.on, self._nodes())) and (most or not self.ray.cluster_resources().get("CPU")):
            self._await_a_worker()
        return max(most, self.resources.slots(self._nodes()))

    def _nodes(self) -> list[Mapping[str, float]]:
        """What each node has that is there."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _await_a_worker(self) -> None:
        """The machines of a cluster may come when something is asked of it: ask for a trial's share and wait for it."""
        print(f"no worker yet: waiting for the cluster's first, at most {JOIN_SECONDS / 60:g} minutes", flush=True)
        share = self.ray.remote(num_cpus=self.resources.cpus, num_gpus=self.resources.gpus)
        self.ray.wait([share(_nothing).remote()], timeout=JOIN_SECONDS)

    def close(self) -> None:
        """Leave Ray."""
        self.ray.shutdown()


def import_ray(address: str | None) -> str:
    """Import Ray with the settings that it reads from the environment; the address that was meant."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # it lists every try that died
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")  # nothing is ever restored from Tune's snapshots
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address == "local":
        _keep_to_this_machine()
    with uncollected():
        import ray.tune  # noqa: F401
    return address


def _keep_to_this_machine() -> None:
    """A Ray of our own listens on loopback alone, to those who know a token that is nowhere written down.

    Ray reads these when it is imported. Where a plug-in has done so before us it starts by its own lights: with a
    token, on every interface.
    """
    if "ray" not in sys.modules:
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


class _Here:
    """Lives in this process alone: Tune, which keeps copies of what it is given in memory and on disk, gets none."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


def _queue(tries: Tries) -> Any:
    """Hands Tune the parts that wait, one a trial."""
    from ray.tune.search import Searcher

    class Queue(_Here, Searcher):
        def suggest(self, trial_id: str) -> Any:
            number = tries.next()
            if number is None:
                return Searcher.FINISHED if tries.done else None
            part = tries.parts[number]
            return {"part": number, "task": part.index, "cells": list(part.cells)}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """The watcher looks after that."""

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the plan is made from the rows."""

    return Queue()


def _stopper(stop: Stop) -> Any:
    """Has Tune stop all trials when the run is to end."""
    from ray import tune

    class Stopper(_Here, tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return stop.asked

    return Stopper()


def _watcher(tries: Tries, watch: Watch, dog: Watchdog, stop: Stop) -> Any:
    """A Tune callback: passes on what moves, has tried again what died, and ends the run where storage is gone."""
    from ray import tune

    class Watcher(_Here, tune.Callback):
        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            dog.moved()

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            update, part = Update(**{field.name: result[field.name] for field in fields(Update)}), trial.config["part"]
            if is_at_work(tries.running.get(part, Update()), update):
                dog.moved()
            self.tell(trial, tries.hear(part, update))

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            tries.finish(trial.config["part"])

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            dog.moved()
            try:
                self.tell(trial, self.again(trial))
            except StorageFailure as failure:  # Tune would make a traceback of it
                stop.ask(failure.told)

        def again(self, trial: Any) -> Update:
            failure = _storage_failure(trial)
            if failure:
                return tries.refused(trial.config["part"], failure)
            return tries.died(trial.config["part"], _last_words(trial))

        def tell(self, trial: Any, update: Update) -> None:
            watch(trial.config["task"], update)

    return Watcher()


def _last_words(trial: Any) -> str:
    """What Ray knows of a trial's death, and where it ran."""
    place = {name: (trial.last_result or {}).get(name) for name in ("hostname", "node_ip", "pid")}
    known = ", ".join(f"{name} {value}" for name, value in place.items() if value is not None)
    file = trial.error_file
    words = Path(file).read_text(errors="replace") if file and Path(file).is_file() else "Ray gave no reason"
    return f"last heard of: {known or 'never'}\n{words}"


def _storage_failure(trial: Any) -> StorageFailure | None:
    """What a trial died of, where that was storage; by what Tune keeps of its error in a file of this process."""
    from ray import cloudpickle

    file = trial.pickled_error_file
    error = cloudpickle.loads(Path(file).read_bytes()) if file and Path(file).is_file() else None
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, StorageFailure) else None
