"""What is written when a run starts: its record, plug-ins, classifiers and true classes."""

import json
import sys
import uuid
from dataclasses import asdict
from typing import Any

from harness.cli.experiment import Experiment
from harness.cli.workload import Workload
from harness.evaluation import digit_classifier
from harness.experiment import provenance
from harness.monitoring import run_status
from harness.monitoring.display import format_duration
from harness.monitoring.phase import show_phase
from harness.plugins import registry
from harness.scheduling import plan as planning
from harness.storage.layout import plugin_key, provenance_key, targets_key
from harness.storage.store import Store


def start_run(experiment: Experiment, workload: Workload) -> dict[str, Any]:
    """Write the record of a run and its plug-ins; the record, with the run's id."""
    store, record = experiment.store, make_record(experiment, workload)
    warn_about_active_runs(store)
    for plugin in experiment.plugins:
        store.write(plugin_key(plugin.sha256), plugin.to_json())
    store.write(provenance_key(record["run"]), json.dumps(record, indent=1).encode())
    return record


def prepare_stage(experiment: Experiment, workload: Workload) -> None:
    """Write what the rows of a stage need beside them: classifiers and true classes."""
    store = experiment.store
    if experiment.options.resume == "never":
        planning.delete_saved_state(store, workload.plan.todo)
    if workload.is_search:
        return
    for data in workload.sets.values():
        phase = show_phase(f"classifier of {data.name}", experiment.options.progress)
        with phase, registry.isolate_model():  # no plug-in may change how it is trained
            digit_classifier.provide(store, data)
        store.write_classes(targets_key(data.name), data.test_y.numpy())


def make_record(experiment: Experiment, workload: Workload) -> dict[str, Any]:
    """The provenance of a run: what runs, with which software, on which machine."""
    grid, plan = experiment.grid, workload.plan
    return {
        "run": f"{provenance.utc_now()[:19].replace(':', '')}-{uuid.uuid4().hex[:6]}",
        "started": provenance.utc_now(),
        "command": experiment.options.command or provenance.command_line(),
        "grid": grid.model_dump(),
        "compare_given": bool(grid.compare.model_fields_set),
        "evaluation": asdict(experiment.evaluation),
        "cells": len(plan.cells),
        "to_do": len(plan.todo),
        "commit": provenance.git_commit(),
        "versions": provenance.library_versions(),
        "machine": provenance.describe_machine(),
        "data": {name: data.checksum for name, data in workload.sets.items()},
        "binarisation": {
            name: data.spec.binarisation if data.spec.kind == "binary" else None
            for name, data in workload.sets.items()
        },
        "plugins": {plugin.name: plugin.sha256 for plugin in experiment.plugins},
    }


def warn_about_active_runs(store: Store) -> None:
    """Say which other runs write to the same results."""
    for other in run_status.active_runs(store):
        active_run = (
            f"run {other.run} on {other.host} was at work here "
            f"{format_duration(other.stale_seconds)} ago"
        )
        print(
            f"{active_run}; both may go on: no row is lost, and what both do is done twice",
            file=sys.stderr,
        )
