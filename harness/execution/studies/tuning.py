"""Runs a study as one Tune run with the user's searcher and scheduler. Importing it imports Ray."""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ray import tune

from harness.execution.launcher import Resources
from harness.execution.ray_worker import to_arrays
from harness.execution.shutdown import StopRequest
from harness.execution.studies.hooks import StudyCallback, StudySearcher
from harness.execution.studies.own_objects import find_mode, make_scheduler, make_searcher
from harness.execution.studies.study import Study
from harness.execution.studies.worker import StudyWorker
from harness.execution.tune_hooks import make_run_config
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.storage.store import Store
from harness.training.task import Task


def run(
    study: Study,
    sets: Mapping[str, Data],
    store: Store,
    stop: StopRequest,
    resources: Resources,
    slots: int,
    scratch: str,
) -> list[Cell]:
    """Run the open trials of a study, `slots` side by side; their cells.

    scratch: a folder for Tune's own files
    """
    granted = replace(study, make_task=lambda *at: _grant(study.make_task(*at), resources))
    searcher = StudySearcher(granted, make_searcher(study.spec, study.known), stop)
    # no point is requested before a process is free: the searcher is to see the results until then
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "1"
    tune.Tuner(
        _make_trainable(study, sets, resources),
        tune_config=tune.TuneConfig(
            metric=study.spec.metric,
            mode=find_mode(study.spec),
            search_alg=searcher,
            scheduler=make_scheduler(study.spec),
            num_samples=len(study.numbers),
            max_concurrent_trials=slots,
            reuse_actors=True,
        ),
        run_config=make_run_config("study", scratch, stop, StudyCallback(searcher, store, stop)),
    ).fit()
    return [task.cells[0] for task in searcher.tasks.values()]


def _grant(task: Task, resources: Resources) -> Task:
    """The task with its share of the machine; it reports each point and saves no checkpoint."""
    (granted,) = resources.grant([task])
    return replace(granted, sends_points=True, reports_row=True, checkpoint_seconds=math.inf)


def _make_trainable(study: Study, sets: Mapping[str, Data], resources: Resources) -> Any:
    """The class of the workers, with the resources of a trial and the shared data."""
    shared = tune.with_parameters(StudyWorker, sets=to_arrays(sets), metric=study.spec.metric)
    return tune.with_resources(shared, {"cpu": resources.cpus, "gpu": resources.gpus})
