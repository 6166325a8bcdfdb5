"""From a pack to rows: statuses, resuming, scoring again; on few images of MNIST, few steps."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from harness.data import idx_sets
from harness.errors import StorageError
from harness.evaluation import digit_classifier
from harness.execution import trial
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.storage import tensor_file
from harness.storage.layout import checkpoint_key, log_key, weights_key
from harness.storage.store import PictureKind, Store
from harness.training.checkpoints import save_checkpoints
from harness.training.task import Task, Update
from harness.training.trainer import PackTrainer
from tests.conftest import CellMaker, lasting, tree

SUBSET = EvaluationConfig(
    dataset="mnist", subset=(1, 2, 3), subset_checksum="abc", iwae=(10,), iwae_on=("subset",)
)


QUICK = EvaluationConfig(samples=200)


@pytest.fixture(autouse=True)
def few_images(mnist: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is the first images of MNIST."""
    monkeypatch.setattr(idx_sets, "load", lambda name: mnist)


def run(store: Store, cells: Sequence[Cell], **values: Any) -> list[Update]:
    task = Task(tuple(cells), str(store.root), **{"evaluation": QUICK, **values})
    return list(trial.run(task, idx_sets.load("mnist")))


def another(folder: Path, mnist: Data) -> Store:
    """A second store."""
    made = Store(folder / "another")
    digit_classifier.provide(made, mnist)
    return made


def test_a_cell_becomes_a_row_with_all_that_lies_beside_it(store: Store, cell: CellMaker) -> None:
    one = cell("vae")
    updates = run(store, [one], evaluation=EvaluationConfig(), grid="g", run="r", commit="c")
    row = store.rows()[one.id]
    assert (row["status"], row["grid"], row["run"], row["git_commit"]) == ("ok", "g", "r", "c")
    assert row["nelbo"] == pytest.approx(row["kl"] + row["rec"])
    assert (row["accuracy"], row["subset_nelbo"], row["iwae_10"]) == (None, None, None)
    assert (sum(row["digit_counts"]), sum(row["digit_counts_200"])) == (10_000, 200)
    assert row["judge_accuracy"] > 0.8
    assert row["parameters"] == 661_404
    assert row["seeded"] == "weights,order,binarisation,noise"
    assert (row["iterations"], row["full_length"]) == (10, 20_000)
    curve = store.curve(one.id)
    assert curve is not None
    assert curve.step.iloc[-1] == 10
    for kind in get_args(PictureKind):
        assert (store.pictures(kind, one.id) or b"").startswith(b"\x89PNG")
    assert store.predictions(one.id) is None
    assert store.read(weights_key(one)) is not None
    assert store.read(checkpoint_key(one)) is None
    assert updates[-1].ended == {one.id: "ok"}


def test_a_worker_knows_the_data_that_it_is_given(
    store: Store, cell: CellMaker, mnist: Data
) -> None:
    """It cannot look up a user's own data by their name, which the driver alone registers."""
    data = replace(mnist, name="of_the_driver", spec=replace(mnist.spec, classes=9))
    one = cell("vae", dataset="of_the_driver")
    list(trial.run(Task((one,), str(store.root)), data))
    assert registry.data_spec("of_the_driver") == data.spec


def test_a_supervised_cell_has_an_accuracy_and_no_bound(
    store: Store, cell: CellMaker, mnist: Data
) -> None:
    one = cell("ssvae", supervision="supervised")
    run(store, [one], evaluation=SUBSET)
    row = store.rows()[one.id]
    assert row["status"] == "ok"
    predicted = store.predictions(one.id)
    assert predicted is not None
    assert row["accuracy"] == pytest.approx((predicted == mnist.test_y.numpy()).mean())
    assert row["accuracy"] > 0.05
    assert all(
        row[name] is None
        for name in ("nelbo", "kl", "rec", "subset_nelbo", "digit_counts", "subset_iwae_10")
    )
    assert row["seeded"].endswith("labels")
    assert store.pictures("samples", one.id) is None


def test_the_same_cell_twice_gives_the_same_row(
    tmp_path: Path, store: Store, cell: CellMaker, mnist: Data
) -> None:
    other = another(tmp_path, mnist)
    one = cell("gmvae", seed=3)
    run(store, [one])
    run(other, [one])
    assert lasting(store.row(one.id)) == lasting(other.row(one.id))


def test_a_diverging_cell_is_a_row_with_its_step_and_its_neighbours_end_as_if_alone(
    tmp_path: Path, store: Store, cell: CellMaker, mnist: Data
) -> None:
    """Rounding differs between packs, so the last digits may differ."""
    wild, calm = cell("vae", learning_rate=10.0), [cell("vae", 1), cell("vae", 2, beta=4.0)]
    run(store, [calm[0], wild, calm[1]])
    row = store.rows()[wild.id]
    assert (row["status"], row["nelbo"]) == ("diverged", None)
    assert row["error"] == "the loss was not below 1e+09 nats at step 2 (β = 1, learning rate = 10)"
    assert store.read(checkpoint_key(wild)) is None
    alone = another(tmp_path, mnist)
    for one in calm:
        run(alone, [one])
        found, expected = store.rows()[one.id], alone.rows()[one.id]
        assert (found["status"], expected["status"]) == ("ok", "ok")
        for name in ("nelbo", "kl", "rec"):
            assert found[name] == pytest.approx(expected[name], rel=1e-5)


def test_an_error_is_a_row_with_its_reason(
    store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise MemoryError("no room")

    one = cell("vae")
    with monkeypatch.context() as patch:
        patch.setattr("harness.evaluation.elbo.elbo", broken)
        updates = run(store, [one], checkpoint_seconds=0.0)
    row = store.rows()[one.id]
    assert (row["status"], row["error"]) == ("failed", "bound: MemoryError: no room")
    assert updates[-1].ended == {one.id: "failed"}
    assert store.read(checkpoint_key(one)) is not None  # another try scores what is trained
    assert b'raise MemoryError("no room")' in (store.read(log_key(one.id)) or b"")


def test_a_failed_cell_is_scored_without_training_again(
    store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("vae")
    with monkeypatch.context() as patch:
        patch.setattr("harness.evaluation.samples.draw_samples", lambda *_: 1 / 0)
        run(store, [one], checkpoint_seconds=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("harness.training.trainer.PackTrainer.train_step", lambda *_: 1 / 0)
        run(store, [one])
    assert store.rows()[one.id]["status"] == "ok"


def test_more_scores_need_no_training(
    store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("vae")
    run(store, [one])
    before = store.rows()[one.id]
    monkeypatch.setattr("harness.training.trainer.PackTrainer.train_step", lambda *_: 1 / 0)
    run(store, [one], evaluation=SUBSET)
    after = store.rows()[one.id]
    assert after["status"] == "ok"
    assert after["subset_nelbo"] == pytest.approx(after["subset_kl"] + after["subset_rec"])
    assert after["subset_iwae_10"] < after["subset_nelbo"]
    assert (after["nelbo"], after["train_seconds"]) == (before["nelbo"], before["train_seconds"])
    assert set(after["evaluated"].split(",")) == {"nelbo", "subset_nelbo", "subset_iwae_10"}


Step = tuple[int, int]  # cells of a pack, and where it stood


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """All trained steps."""
    taken: list[Step] = []
    original = PackTrainer.train_step

    def counted(pack: PackTrainer) -> None:
        original(pack)
        taken.append((len(pack.cells), pack.step))

    monkeypatch.setattr(PackTrainer, "train_step", counted)
    return taken


def span(cells: int, first: int, last: int) -> list[Step]:
    return [(cells, step) for step in range(first, last + 1)]


def test_a_partly_done_pack_trains_what_is_missing_alone(
    tmp_path: Path, store: Store, cell: CellMaker, mnist: Data, steps: list[Step]
) -> None:
    """Each cell of the pack ends as if it had been trained alone."""
    done, half, _ = cells = [cell("ssvae", seed, supervision="supervised") for seed in range(3)]
    interrupted(store, [half], mnist)
    run(store, [done])
    steps.clear()
    run(store, cells)
    assert steps == span(1, 4, 10) + span(1, 1, 10)
    alone = another(tmp_path, mnist)
    for one in cells:
        run(alone, [one])
        assert lasting(store.row(one.id)) == lasting(alone.row(one.id))
        assert store.read(weights_key(one)) == alone.read(weights_key(one))


def interrupted(store: Store, cells: Sequence[Cell], mnist: Data) -> None:
    """Write checkpoints of a pack at its third step, as a killed run leaves them."""
    pack = PackTrainer(cells, mnist)
    for _ in range(3):
        pack.advance()
    save_checkpoints(store, pack)


# --- out of memory --------------------------------------------------------------------------------


def cramped(monkeypatch: pytest.MonkeyPatch, most: int, after: int) -> None:
    """Simulate a GPU on which packs of more than `most` cells run out of memory."""
    original = PackTrainer.train_step

    def one_step(pack: PackTrainer) -> None:
        if len(pack.cells) > most and pack.step >= after:
            raise torch.OutOfMemoryError("no room for a tensor")
        original(pack)

    monkeypatch.setattr(PackTrainer, "train_step", one_step)


@pytest.mark.parametrize("after", [0, 3])
def test_a_pack_that_runs_out_of_memory_goes_on_in_halves(
    after: int, tmp_path: Path, store: Store, cell: CellMaker, mnist: Data, steps: list[Step],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Five cells train in packs of 2, 1 and 2 and give the usual rows."""
    cells = [cell("ssvae", seed, supervision="supervised") for seed in range(5)]
    parts = (cells[:2], cells[2:3], cells[3:])
    with monkeypatch.context() as patch:
        cramped(patch, most=2, after=after)
        updates = run(store, cells, checkpoint_seconds=0.0)
    assert steps == span(5, 1, after) + [
        step for part in parts for step in span(len(part), after + 1, 10)
    ]
    assert updates[-1].steps == 5 * 10
    calm = another(tmp_path, mnist)
    if after:
        interrupted(calm, cells, mnist)
    for part in parts:
        run(calm, part)
    for one in cells:
        assert lasting(store.row(one.id)) == lasting(calm.row(one.id))
        assert store.read(weights_key(one)) == calm.read(weights_key(one))
        assert store.read(checkpoint_key(one)) is None
    assert [store.rows()[one.id]["status"] for one in cells] == ["ok"] * 5
    assert [store.rows()[one.id]["pack"] for one in cells] == [2, 2, 1, 2, 2]


def test_what_a_pack_holds_is_measured_with_what_its_step_takes(
    store: Store, cell: CellMaker, mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack holds 100 bytes per cell, a step takes 10 more, and 1,000 are free."""
    held: list[int] = []
    original, step = PackTrainer.__init__, PackTrainer.train_step

    def init(pack: PackTrainer, cells: Sequence[Cell], *args: Any) -> None:
        held.append(100 * len(cells))
        original(pack, cells, *args)

    def one_step(pack: PackTrainer) -> None:
        held.append(10 * len(pack.cells))
        step(pack)

    def peak(work: Callable[[], object], device: torch.device) -> int:
        held.clear()
        work()
        return sum(held)

    monkeypatch.setattr(PackTrainer, "__init__", init)
    monkeypatch.setattr(PackTrainer, "train_step", one_step)
    monkeypatch.setattr("harness.training.gpu_memory.measure_peak_bytes", peak)
    monkeypatch.setattr("harness.training.gpu_memory.available_bytes", lambda device, share: 1000)
    cells = [cell("ssvae", seed, supervision="supervised") for seed in range(64)]
    on_gpu = trial._Trial(Task(tuple(cells), str(store.root), gpus=1.0), store)
    assert on_gpu._max_pack_size(cells, mnist) == 8  # 900 of the 1,000 are used, 110 for each cell


def test_cells_that_do_not_fit_even_alone_are_failed_rows_with_the_reason(
    store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell("ssvae", seed, supervision="supervised") for seed in range(3)]
    cramped(monkeypatch, most=0, after=0)
    updates = run(store, cells)
    for one in cells:
        row = store.rows()[one.id]
        assert (row["status"], row["error"]) == ("failed", "OutOfMemoryError: no room for a tensor")
    assert updates[-1].ended == {one.id: "failed" for one in cells}


@pytest.mark.parametrize("after", [0, 4])
def test_a_cell_that_finds_no_room_leaves_its_checkpoint_for_another_try(
    after: int, store: Store, cell: CellMaker, steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("ssvae", supervision="supervised")
    with monkeypatch.context() as patch:
        cramped(patch, most=0, after=after)
        run(store, [one], checkpoint_seconds=0.0)
    assert store.rows()[one.id]["status"] == "failed"
    run(store, [one])
    assert store.rows()[one.id]["status"] == "ok"
    assert steps == span(1, 1, 10)


def saved_step(store: Store, cell: Cell) -> int:
    """The step of a cell's checkpoint, 0 without one."""
    content = store.read(checkpoint_key(cell))
    return int(tensor_file.parse(content)[1]["step"]) if content else 0


def test_updates_carry_every_point_of_the_curves_once_on_request(
    store: Store, cell: CellMaker
) -> None:
    cells = [cell("vae"), cell("vae", 1)]
    points = [point for update in run(store, cells, sends_points=True) for point in update.points]
    for one in cells:
        assert [point["step"] for id_, point in points if id_ == one.id] == [*range(1, 11)]
    again = cell("vae", 2)
    assert not any(update.points for update in run(store, [again]))


def test_updates_of_a_search_carry_the_row_so_far_on_request(
    store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at each point with validation scores; the last one is what the row says."""
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_POINTS", 2)
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_STEPS", 2)
    one = replace(cell("vae", iterations=5), stage="search", search="s", validation=100)
    rows = [update.row for update in run(store, [one], reports_row=True) if update.row]
    assert sorted({row["step"] for row in rows}) == [2, 4, 5]
    values = {row["step"]: row["validation_nelbo"] for row in rows}
    assert len(set(values.values())) == 3
    stored = store.rows()[one.id]
    last = {name: value for name, value in rows[-1].items() if name != "step"}
    assert {name: stored[name] for name in last} == last
    other = replace(one, trial=1)
    assert not any(update.row for update in run(store, [other]))


def test_threads_follow_the_grant(store: Store, cell: CellMaker) -> None:
    one = replace(cell("vae"), iterations=1)
    try:
        run(store, [one], threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert store.rows()[one.id]["threads"] == 2


def test_numbers_too_small_for_a_float_are_zero_while_it_trains_and_not_afterwards(
    store: Store, cell: CellMaker
) -> None:
    """Late in a training of `ssvae` they made a step of 30 ms one of 240 ms."""
    small = torch.tensor(1e-20)
    updates = trial.run(
        Task((cell("vae"),), str(store.root), report_seconds=0.0), idx_sets.load("mnist")
    )
    assert small * small != 0
    next(updates)
    assert small * small == 0
    updates.close()
    assert small * small != 0


def test_a_full_disk_ends_the_trial_with_one_word_and_tears_nothing(
    store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No failed row can be written either; a later run of the task finishes the cell."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    one, before = cell("vae"), tree(store.root)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StorageError, match="No space left on device; finished cells are kept"):
            list(trial.run(Task((one,), str(store.root)), idx_sets.load("mnist")))
    assert tree(store.root) == before
