"""Ray Tune and the in-process launcher give equal rows, and killed trials are retried."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import torch

from harness.data.loading import DatasetLoader
from harness.errors import InputError, StalledError
from harness.evaluation import digit_classifier
from harness.execution import retries
from harness.execution.launcher import InProcess, Launcher, Resources
from harness.execution.ray_tune import RayTune
from harness.execution.ray_worker import from_arrays, to_arrays
from harness.execution.shutdown import StopRequest
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.source_files import plugin_from_text
from harness.storage.layout import log_key
from harness.storage.store import Store
from harness.training.task import Task, Update
from tests.conftest import CellMaker, lasting

pytestmark = pytest.mark.slow

# A model that kills its own process while a file counts fewer deaths than `lives`, and in scoring
# where its weight of chance exceeds `threshold`; or sleeps without end.
MORTAL = """
import os, signal, time, torch
from pathlib import Path
from torch import Tensor, nn
from harness.plugins.model import PIXELS, Model, Terms
from harness.plugins.registry import register

@register("mortal")
class Mortal(Model):
    '''p(x) = Bernoulli(b): it may die at its step `at`.'''
    iterations = 60

    def __init__(
        self,
        deaths: str = "",
        lives: int = 0,
        at: int = 30,
        threshold: float = 1.0,
        sleeps: bool = False,
    ):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(PIXELS))
        self.chance, self.threshold, self.sleeps = nn.Parameter(torch.rand(())), threshold, sleeps
        self.deaths, self.lives, self.at, self.calls = deaths, lives, at, 0

    def noise(self, batch):
        return {"z": (batch, 1)}

    def terms(self, batch, noise):
        self.calls += 1
        if self.sleeps:
            time.sleep(1e6)
        if self.training and self.deaths and self.calls >= self.at:
            file = Path(self.deaths)
            died = len(file.read_text()) if file.exists() else 0
            if died < self.lives:
                file.write_text("x" * (died + 1))
                os.kill(os.getpid(), signal.SIGKILL)
        rec = nn.functional.binary_cross_entropy_with_logits(
            self.b.expand_as(batch.x), batch.x, reduction="none"
        )
        threads = torch.full((len(batch.x),), float(torch.get_num_threads()))
        rec = rec + 0 * self.chance
        return Terms(rec.sum(-1), rec.new_zeros(len(batch.x)), threads)

    def sample(self, noise):
        if self.chance > self.threshold:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.b.sigmoid().expand(len(noise["z"]), -1)
"""


@pytest.fixture(scope="module")
def ray() -> Iterator[RayTune]:
    registry.load_source("mortal.py", MORTAL)  # as the command does before it launches anything
    launcher = RayTune(Resources(cpus=1))
    yield launcher
    launcher.close()


LOADER = DatasetLoader()


def mortal(seed: int, **settings: Any) -> Cell:
    defaults: dict[str, Any] = {
        "deaths": "",
        "lives": 0,
        "at": 30,
        "threshold": 1.0,
        "sleeps": False,
    }
    return Cell("mortal", seed, 60, settings=tuple(sorted((defaults | settings).items())))


def tasks(store: Store, packs: Sequence[Sequence[Cell]], **values: Any) -> list[Task]:
    return [
        Task(
            tuple(p),
            str(store.root),
            run="r",
            plugins=(plugin_from_text("mortal.py", MORTAL),),
            **values,
        )
        for p in packs
    ]


def sets_of(work: Sequence[Task]) -> dict[str, Data]:
    """The data sets of the cells of tasks."""
    return {cell.dataset: LOADER.load(cell.dataset) for task in work for cell in task.cells}


def launch(launcher: Launcher, work: Sequence[Task]) -> dict[int, Update]:
    last: dict[int, Update] = {}
    launcher.run(work, sets_of(work), Store(work[0].results), last.__setitem__, StopRequest())
    return last


def another(store: Store, name: str, mnist: Data) -> Store:
    made = Store(store.root.parent / name)
    digit_classifier.provide(made, mnist)
    return made


def test_both_launchers_give_equal_rows(ray: RayTune, tmp_path: Path, cell: CellMaker) -> None:
    """All columns but times and run ids are equal to the bit, for every model and a pack of two."""
    digits: dict[str, Any] = {"dataset": "digits", "data_version": LOADER.version("digits")}
    packs = [
        [cell("vae", 1, **digits), cell("vae", 2, beta=4.0, **digits)],
        [cell("gmvae", 1, **digits)],
        [cell("ssvae", 1, **digits)],
        [cell("ssvae", 1, supervision="supervised", **digits)],
    ]
    store, twin = Store(tmp_path / "results"), Store(tmp_path / "twin")
    for each in (store, twin):
        digit_classifier.provide(each, LOADER.load("digits"))
    updates = launch(ray, tasks(store, packs))
    launch(InProcess(Resources()), tasks(twin, packs))
    rows, expected = store.rows(), twin.rows()
    assert len(rows) == 5
    assert {name: lasting(row) for name, row in rows.items()} == {
        name: lasting(row) for name, row in expected.items()
    }
    assert [set(update.ended.values()) for _, update in sorted(updates.items())] == [{"ok"}] * 4
    for name in rows:
        found, wanted = store.curve(name), twin.curve(name)
        assert found is not None
        assert wanted is not None
        assert found.drop(columns="seconds").equals(wanted.drop(columns="seconds"))


class Deaths(NamedTuple):
    """A run of three packs of a cell each: one dies twice, one always, and one never."""

    store: Store
    cells: Sequence[Cell]
    died: int
    updates: dict[int, Update]


@pytest.fixture(scope="module")
def deaths(ray: RayTune, full_mnist: Data, tmp_path_factory: pytest.TempPathFactory) -> Deaths:
    """The deaths of one run, as each process of Ray's imports torch for seconds."""
    folder = tmp_path_factory.mktemp("deaths")
    store = Store(folder / "results")
    digit_classifier.provide(store, full_mnist)
    cells = [
        mortal(3, deaths=str(folder / "two"), lives=2),
        mortal(5, deaths=str(folder / "many"), lives=99, at=1),
        mortal(4),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries, "MAX_RETRIES", 1)
        updates = launch(ray, tasks(store, [[one] for one in cells], checkpoint_seconds=0.0))
    return Deaths(store, cells, len((folder / "two").read_text()), updates)


def test_a_worker_that_is_killed_goes_on_from_its_checkpoint(deaths: Deaths, mnist: Data) -> None:
    """After two SIGKILLs, row and weights equal those of an undisturbed run."""
    assert deaths.died == 2
    calm = another(deaths.store, "calm", mnist)
    launch(InProcess(Resources()), tasks(calm, [[mortal(3)]]))
    cell = deaths.cells[0]
    row, expected = lasting(deaths.store.row(cell.id)), lasting(calm.row(mortal(3).id))
    changed = {"cell", "settings"}
    assert {k: v for k, v in row.items() if k not in changed} == {
        k: v for k, v in expected.items() if k not in changed
    }


def test_a_worker_that_always_dies_is_a_failed_row_and_its_neighbour_ends(deaths: Deaths) -> None:
    rows, (_, cell, neighbour) = deaths.store.rows(), deaths.cells
    assert rows[cell.id]["status"] == "failed"
    assert rows[cell.id]["error"] == "its process died 2 times with nothing saved"
    assert rows[neighbour.id]["status"] == "ok"
    assert deaths.updates[1].ended == {cell.id: "failed"}


def test_the_neighbours_of_a_cell_that_kills_its_process_end_well(
    ray: RayTune, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three packed cells kills the process; its log has Ray's reason and the host."""
    monkeypatch.setattr(retries, "MAX_RETRIES", 1)
    chance = {
        seed: registry.build(mortal(seed)).get_parameter("chance").item() for seed in range(6)
    }
    *calm, worst = sorted(chance, key=lambda seed: chance[seed])
    threshold = (chance[calm[-1]] + chance[worst]) / 2
    cells = [mortal(seed, threshold=threshold) for seed in (calm[0], worst, calm[1])]
    updates = launch(ray, tasks(store, [cells]))
    assert updates[0].ended == {one.id: "failed" if one is cells[1] else "ok" for one in cells}
    assert "nothing saved" in store.rows()[cells[1].id]["error"]
    words = (store.read(log_key(cells[1].id)) or b"").decode()
    assert "last update from: hostname" in words
    assert "The actor died" in words


def run_to_its_end(launcher: Launcher, work: Sequence[Task]) -> None:
    """Run tasks as the command does."""
    with StopRequest() as stop:
        launcher.run(work, sets_of(work), Store(work[0].results), lambda *_: None, stop)


def test_a_run_that_hangs_is_ended_with_a_word(
    ray: RayTune, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray, "patience", 5.0)
    with pytest.raises(StalledError, match="1 trials sent no update"):
        run_to_its_end(ray, tasks(store, [[mortal(1, sleeps=True)]]))
    assert "no progress for" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key", ["curves/{}.parquet", "rows/{}.json"], ids=["workers", "workers and the driver"]
)
def test_storage_that_fails_for_good_ends_the_run_with_its_word(
    ray: RayTune, store: Store, key: str
) -> None:
    """A folder blocks the path of a file, so neither curves nor rows can be written."""
    store.path(key.format(mortal(1).id)).mkdir(parents=True)
    with pytest.raises(StalledError, match=r"\Aresults [^\n]*/results: Is a directory\Z"):
        run_to_its_end(ray, tasks(store, [[mortal(1)]]))
    assert store.read(log_key(mortal(1).id)) is None  # the cell is not at fault


def test_processes_are_used_again(ray: RayTune, store: Store) -> None:
    """The model writes its process id into its curve."""
    source = MORTAL.replace(
        "float(torch.get_num_threads())", "float(os.getpid() % 10_000)"
    ).replace("mortal", "marked")
    cells = [replace(mortal(seed), model="marked") for seed in range(8)]
    launch(
        ray,
        [
            Task((one,), str(store.root), run="r", plugins=(plugin_from_text("marked.py", source),))
            for one in cells
        ],
    )
    curves = [store.curve(one.id) for one in cells]
    assert len({curve.extra.iloc[-1] for curve in curves if curve is not None}) <= ray.slots
    assert None not in [None if curve is None else 0 for curve in curves]


def test_no_autoscaler_no_reader_of_logs_and_no_dashboard_is_started(ray: RayTune) -> None:
    """Each would import Ray in a process of its own, for nothing."""
    children = psutil.Process().children(recursive=True)
    living = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    commands = [" ".join(child.cmdline()) for child in living]
    assert any("gcs_server" in command for command in commands)
    unused = ("monitor.py", "dashboard.py")  # log_monitor.py too
    assert not [command for command in commands if any(name in command for name in unused)]


def test_tune_imports_no_tracker_to_count_callbacks(
    ray: RayTune, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would for usage statistics, which are off: 2 s where MLflow is installed."""
    from ray.air._internal import usage
    from ray.tune import Callback

    monkeypatch.setitem(sys.modules, "ray.air.integrations.mlflow", None)  # cannot be imported
    assert not usage.tag_callbacks([Callback()])


def test_threads_follow_the_cpus_granted(
    ray: RayTune, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model writes torch's number of threads into its curve."""
    monkeypatch.setattr(ray, "resources", Resources(cpus=2))
    launch(ray, tasks(store, [[mortal(1)]]))
    curve = store.curve(mortal(1).id)
    assert curve is not None
    assert set(curve.extra) == {2.0}
    assert store.rows()[mortal(1).id]["threads"] == 2


def test_a_gpu_that_torch_does_not_see_is_a_failed_row(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    launch(InProcess(Resources(gpus=0.5)), tasks(store, [[mortal(1)]]))
    assert "no CUDA device" in store.rows()[mortal(1).id]["error"]


@pytest.mark.parametrize(("cpus", "gpus"), [(0, 0.0), (-1, 0.0), (1, -0.5), (1, 1.5)])
def test_shares_that_cannot_be_are_refused(cpus: int, gpus: float) -> None:
    with pytest.raises(InputError, match="expected"):
        Resources(cpus, gpus)


@pytest.mark.parametrize(
    ("resources", "slots"),
    [(Resources(2), 4), (Resources(1, 0.25), 8), (Resources(3, 1.0), 2), (Resources(1, 2.0), 1)],
)
def test_slots_are_what_fits_side_by_side(resources: Resources, slots: int) -> None:
    assert resources.slots([{"CPU": 8.0, "GPU": 2.0}]) == slots


@pytest.mark.parametrize(
    ("resources", "slots"),
    [
        (Resources(4), 5),
        (Resources(1, 0.1), 20),
        (Resources(1, 0.4), 4),
        (Resources(1, 1.0), 2),
        (Resources(16), 1),
    ],
)
def test_slots_are_counted_node_by_node(resources: Resources, slots: int) -> None:
    """CPUs of two nodes, or remainders of two GPUs, cannot be combined for one trial."""
    assert resources.slots([{"CPU": 3.0}, {"CPU": 3.0}, {"CPU": 23.0, "GPU": 2.0}]) == slots


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "slots"),
    [
        (Resources(2), 8, 0, 4),
        (Resources(9), 8, 0, 1),
        (Resources(1, 0.25), 8, 0, 4),
        (Resources(1, 0.25), 2, 0, 2),
        (Resources(1, 0.25), 8, 2, 8),
        (Resources(1, 2.0), 8, 0, 1),
        (Resources(3, 1.0), 8, 2, 2),
        (Resources(1), None, 0, 1),
    ],
    ids=[
        "CPUs",
        "more CPUs than there are",
        "shares of a GPU that is not here",
        "too few CPUs for all shares",
        "shares of two GPUs",
        "more GPUs than there are",
        "GPUs",
        "an unknown number of CPUs",
    ],
)
def test_a_plan_counts_on_what_this_machine_has_and_on_one_gpu_at_least(
    resources: Resources, cpus: int | None, gpus: int, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert resources.local_slots() == slots


def test_data_sets_reach_workers_as_arrays_and_back_without_a_copy(mnist: Data) -> None:
    (arrays,) = to_arrays({"mnist": mnist}).values()
    back = from_arrays(arrays)
    for field in fields(Data):
        there, here = getattr(mnist, field.name), getattr(back, field.name)
        if isinstance(there, torch.Tensor):
            assert torch.equal(here, there)
            assert here.data_ptr() == arrays[field.name].ctypes.data == there.data_ptr()
        else:
            assert here == there


def test_workers_share_one_read_only_copy_of_a_data_set(ray: RayTune, mnist: Data) -> None:
    """Two reads from Ray's object store give the same read-only memory."""
    stored = ray.ray.put(to_arrays({"mnist": mnist}))
    first, second = (ray.ray.get(stored)["mnist"] for _ in range(2))
    assert not first["train_x"].flags.writeable
    assert from_arrays(first).train_x.data_ptr() == from_arrays(second).train_x.data_ptr()
    assert torch.equal(from_arrays(first).train_x, mnist.train_x)


@pytest.mark.parametrize("resources", [Resources(9), Resources(1, 4.0)])
def test_a_share_that_nothing_can_grant_is_refused(resources: Resources) -> None:
    """The first request would fit only if both nodes were one."""
    with pytest.raises(InputError, match="on one machine; available: 8 CPUs and 2 GPUs"):
        resources.slots([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 2.0}])


def test_the_grant_reaches_the_tasks(store: Store) -> None:
    (task,) = Resources(3, 0.5).grant(tasks(store, [[mortal(1)]]))
    assert (task.threads, task.gpus) == (3, 0.5)
