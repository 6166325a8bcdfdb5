"""What the harness itself costs on this machine: the parameters of the simulation, and the runs
that check it.

    python -m benchmarks.cluster.measure [PART ...]

Cells of a model that does nothing go through Ray to the end of the command: `probes` and `reports`
give the costs, `runs` and `largest` are what the simulation must foretell. `planning`, `rows`,
`waiting` and `requests` measure what grows with the grid or the cluster. `costs.json` is written as
it goes; a part takes a few minutes.
"""

import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).parent
COSTS = HERE / "costs.json"
PROBES = ((50, 1), (200, 1), (2_000, 64))  # cells, of a pack
RUNS = ((100, 1), (400, 1), (1_000, 64))
LARGEST = (10_000, 64)
REPORTS = 2_000
PLANNED = (10_000, 100_000, 1_000_000)
ROWS = (1_000, 10_000, 100_000)
WAITED = (2, 100, 1_000, 10_000)
WAITS = 20
Found = dict[str, Any]


def main() -> None:
    """Measure the named parts, or all."""
    parts: dict[str, Callable[[], Iterable[Found]]] = {
        "probes": lambda: (command(*probe) for probe in PROBES),
        "reports": lambda: [command(1, 1, reports=REPORTS)],
        "runs": lambda: (command(*run) for run in RUNS),
        "largest": lambda: [command(*LARGEST)],
        "requests": asked,
        "waiting": waited,
        "rows": lambda: map(kept, ROWS),
        "planning": lambda: map(planned, PLANNED),
    }
    for name in sys.argv[1:] or parts:
        found: list[Found] = []
        for one in parts[name]():
            found.append(_shown(one))
            known = json.loads(COSTS.read_text(encoding="utf-8")) if COSTS.exists() else {}
            COSTS.write_text(json.dumps(known | {name: found}, indent=1) + "\n", encoding="utf-8")


def command(cells: int, pack: int, reports: int = 0) -> Found:
    """One command through Ray; with `reports`, a trial of as many steps that reports each."""
    with tempfile.TemporaryDirectory() as scratch:
        flags = [
            "--models",
            "noop",
            "--plugin",
            str(HERE.parent / "speed/noop.py"),
            "--labels",
            "10",
        ]
        flags += ["--seeds", str(cells), "--iterations", str(reports or 1), "--pack", str(pack)]
        pause = ["0", "0"] if reports else ["1", "10"]
        words = [
            sys.executable,
            "-m",
            "benchmarks.cluster.driver",
            *pause,
            *flags,
            "--compile",
            "never",
        ]
        started = perf_counter()
        done = subprocess.run(
            [*words, "--results", scratch], capture_output=True, text=True, check=True
        )
        seconds = perf_counter() - started
    inside = json.loads(done.stdout.splitlines()[-1])
    trials = -(-cells // pack)
    return {
        "cells": cells,
        "trials": trials,
        "load": os.getloadavg()[0],
        "seconds": seconds,
        **inside,
    }


def planned(count: int) -> Found:
    """Seconds to plan so many cells of `vae`, and to hand them out; bytes of the tasks, as Ray's
    workers get them.
    """
    from harness.execution.retries import RetryQueue
    from harness.experiment.cell import ModelCard
    from harness.experiment.evaluation import EvaluationConfig
    from harness.experiment.grid_file import validate
    from harness.monitoring.run_state import RunState
    from harness.scheduling import packing, plan
    from harness.scheduling.step_timing import assumed_gpu_cost
    from harness.storage.store import Store
    from harness.training.task import Cost, Task

    found: Found = {"cells": count}
    grid = validate({"name": "paper", "seeds": count, "sweeps": [{"model": "vae"}]})
    card = ModelCard("vae", "", 20_000, defaults={"z": 10})
    cells = _timed(found, "cells made", lambda: grid.cells({"vae": card}))
    todo = _timed(
        found, "plan", lambda: plan.make_plan(cells, {}, EvaluationConfig(), "always")
    ).todo
    costs = {cells[0].pack_key: assumed_gpu_cost(Cost(0.0, 0.008))}
    packs = _timed(found, "packs", lambda: packing.balanced_packs(todo, costs, 1_000))
    tasks = [Task(pack, "nowhere", run="paper") for pack in packs]
    _timed(found, "tries", lambda: RetryQueue(tasks, Store("nowhere")))
    _timed(found, "progress", lambda: RunState(tasks, costs, 1_000))
    content = _timed(found, "tasks packed", lambda: pickle.dumps(tasks))
    _timed(found, "tasks unpacked", lambda: pickle.loads(content))
    return found | {"task bytes": len(content), "peak bytes": _peak()}


def kept(count: int) -> Found:
    """Seconds to find so many rows, and to compact them."""
    from harness.experiment.cell import Cell
    from harness.storage import schema
    from harness.storage.store import Store

    found: Found = {"rows": count}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "rows").mkdir()
        for seed in range(count):
            cell = Cell("vae", seed, 20_000)
            row = schema.make_row(
                schema.describe_cell(cell) | {"status": "failed", "finished": str(seed)}
            )
            (Path(scratch) / f"rows/{cell.id}.json").write_text(json.dumps(row, indent=1))
        store = Store(scratch)
        _timed(found, "found", store.scan)
        _timed(found, "compacted", store.compact)
    return found | {"peak bytes": _peak()}


def waited() -> Iterator[Found]:
    """Seconds that Ray takes to say which of many trials has news, and Tune to find that none of as
    many must start.

    Both come with every event.
    """
    from harness.execution.launcher import Resources
    from harness.execution.ray_tune import RayTune

    launcher = RayTune(Resources())  # imports ray, once it has set the token
    ray = launcher.ray
    try:
        never = ray.remote(num_gpus=1)(_nothing)
        futures = [never.remote() for _ in range(max(WAITED))]
        ready = ray.put(0)
        for count in WAITED:
            yield _waited([*futures[: count - 1], ready]) | {"scanned": _scanned(count)}
    finally:
        launcher.close()


def _scanned(count: int) -> float:
    """Tune looks twice, for trials that wait and for those that were paused."""
    from ray.tune.experiment import Trial
    from ray.tune.schedulers import FIFOScheduler

    trials = [Trial("noop", stub=True) for _ in range(count)]
    for trial in trials:
        trial.set_status(Trial.TERMINATED)
    begun: Any = SimpleNamespace(get_trials=lambda: trials)
    started = perf_counter()
    FIFOScheduler().choose_trial_to_run(begun)
    return (perf_counter() - started) / 2


def _waited(futures: list[Any]) -> Found:
    """The news is that of the last: Tune shuffles them."""
    import random

    import ray

    taken = []
    for _ in range(WAITS):
        started = perf_counter()
        random.shuffle(futures)
        ray.wait(futures, num_returns=1, timeout=0.1)
        taken.append(perf_counter() - started)
    return {"futures": len(futures), "seconds": min(taken), "median": sorted(taken)[WAITS // 2]}


def _nothing() -> None:
    """What waits for a GPU that never comes."""


def asked() -> list[Found]:
    """Requests of the store and bytes written for a cell of `vae`, and for its checkpoint."""
    from harness.data import idx_sets
    from harness.evaluation import digit_classifier
    from harness.execution import trial
    from harness.experiment.cell import Cell
    from harness.storage import store
    from harness.storage.local import Folder
    from harness.training.task import Task

    requests: Counter[str] = Counter()
    written: Counter[str] = Counter()

    class Counted(Folder):
        def read(self, key: str) -> bytes | None:
            requests[f"read {key.partition('/')[0]}"] += 1
            return super().read(key)

        def write(self, key: str, content: bytes) -> None:
            requests[f"write {key.partition('/')[0]}"] += 1
            written[key.partition("/")[0]] += len(content)
            super().write(key, content)

        def remove(self, key: str) -> None:
            requests[f"remove {key.partition('/')[0]}"] += 1
            super().remove(key)

    mnist = idx_sets.load("mnist")
    with tempfile.TemporaryDirectory() as scratch:
        digit_classifier.provide(store.Store(scratch), mnist)
        vars(store)["make_backend"] = Counted
        cell = Cell("vae", 0, 40, settings=(("z", 10),))
        task = Task((cell,), scratch, compile="never", checkpoint_seconds=1e9, report_seconds=0.0)
        for update in trial.run(task, mnist):
            if update.steps == 20:
                break
        started = trial.run(task, mnist)
        next(started)
        started.close()
        saved, size = requests.pop("write checkpoints"), written.pop("checkpoints")
        requests.clear()
        written.clear()
        list(trial.run(task, mnist))
    return [
        {"of": "a cell", "requests": dict(requests), "bytes": sum(written.values())},
        {"of": "a checkpoint", "requests": {"write checkpoints": 1}, "bytes": size // saved},
    ]


def _timed(found: Found, name: str, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    found[name] = time.perf_counter() - started
    return result


def _peak() -> int:
    """The most memory that this process has taken, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _shown(found: Found) -> Found:
    rounded = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in found.items()
    }
    print(rounded, flush=True)
    return rounded


if __name__ == "__main__":
    main()
