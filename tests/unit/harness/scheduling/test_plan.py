"""The plan leaves out finished cells, and reports damage before anything starts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import RESUME_CHOICES, Resume
from harness.scheduling import plan
from harness.storage import schema, tensor_file
from harness.storage.backend import FileVersion
from harness.storage.layout import checkpoint_key, weights_key
from harness.storage.local import Folder
from harness.storage.schema import Row
from harness.storage.store import Store

VAE = Cell("vae", 0, 10, settings=(("z", 10),))
SUPERVISED = Cell("ssvae", 0, 10, supervision="supervised", labels=100, label_draw="seed")
SUBSET = EvaluationConfig((10,), ("subset",), "mnist", (1, 2), subset_checksum="this")
PLAIN = EvaluationConfig()


def row(cell: Cell, status: str = "ok", evaluated: str = "nelbo", **values: object) -> Row:
    return schema.make_row(
        schema.describe_cell(cell) | {"status": status, "evaluated": evaluated} | values
    )


def by_id(*rows: Row) -> dict[str, Row]:
    return {row["cell"]: row for row in rows}


# --- what is left ---------------------------------------------------------------------------------

SUBSET_SCORES = "nelbo,subset_nelbo,subset_iwae_10"
NEW, DONE, FAILED, DIVERGED, UNSCORED = (replace(VAE, seed=seed) for seed in range(5))
ROWS = by_id(
    row(DONE),
    row(FAILED, "failed", ""),
    row(DIVERGED, "diverged", ""),
    row(UNSCORED, evaluated="accuracy"),
)


@pytest.mark.parametrize(
    ("resume", "left"),
    [
        ("missing", [NEW, UNSCORED]),
        ("failed", [FAILED, DIVERGED]),
        ("always", [NEW, FAILED, DIVERGED, UNSCORED]),
        ("never", [NEW, DONE, FAILED, DIVERGED, UNSCORED]),
    ],
)
def test_each_way_to_resume_leaves_its_cells(resume: Resume, left: list[Cell]) -> None:
    cells = [NEW, DONE, FAILED, DIVERGED, UNSCORED]
    made = plan.make_plan(cells, ROWS, PLAIN, resume)
    assert list(made.todo) == left
    assert made.cells == tuple(cells)
    assert made.rows == ROWS


def test_every_way_to_resume_is_tested() -> None:
    assert set(RESUME_CHOICES) == {"missing", "failed", "always", "never"}


def test_a_larger_grid_trains_only_what_is_new() -> None:
    larger = [replace(VAE, seed=seed, beta=beta) for beta in (1.0, 4.0) for seed in range(3)]
    made = plan.make_plan(larger, by_id(*(row(cell) for cell in larger[:3])), PLAIN, "missing")
    assert list(made.todo) == larger[3:]


@pytest.mark.parametrize(
    ("cell", "found", "evaluation", "expected"),
    [
        (VAE, row(VAE), PLAIN, True),
        (VAE, row(VAE, evaluated="accuracy,nelbo"), PLAIN, True),
        (VAE, row(VAE), EvaluationConfig((10,)), False),
        (VAE, row(VAE), SUBSET, False),
        (VAE, row(VAE, evaluated=SUBSET_SCORES, subset_checksum="this"), SUBSET, True),
        (VAE, row(VAE, evaluated=SUBSET_SCORES, subset_checksum="that"), SUBSET, False),
        (VAE, row(VAE, evaluated="nelbo,subset_nelbo", subset_checksum="that"), PLAIN, True),
        (replace(VAE, dataset="kmnist"), row(VAE), replace(SUBSET, iwae=()), True),
        (SUPERVISED, row(SUPERVISED, evaluated="accuracy"), SUBSET, True),
        (SUPERVISED, row(SUPERVISED, evaluated=""), PLAIN, False),
        (VAE, schema.make_row({"cell": VAE.id, "status": "ok"}), PLAIN, False),
    ],
    ids=[
        "scored",
        "more than requested",
        "a bound more",
        "a subset more",
        "this list",
        "another list",
        "a list no more",
        "a list of another set",
        "no bound, any list",
        "nothing scored",
        "scores unknown",
    ],
)
def test_a_row_is_done_when_it_has_the_scores_that_are_asked_for(
    cell: Cell, found: Row, evaluation: EvaluationConfig, expected: bool
) -> None:
    assert plan.is_fully_scored(cell, found, evaluation) is expected
    assert (
        cell not in plan.make_plan([cell], {cell.id: found}, evaluation, "missing").todo
    ) is expected


# --- files ----------------------------------------------------------------------------------------

KEYS = pytest.mark.parametrize("key", [checkpoint_key, weights_key])


@KEYS
def test_a_half_written_file_is_named_before_anything_starts(
    tmp_path: Path, key: Callable[[Cell], str]
) -> None:
    store, other = Store(tmp_path), replace(VAE, seed=1)
    whole = tensor_file.dump({"w": torch.ones(9)}, {"step": 1})
    store.write(key(VAE), whole)
    plan.check_checkpoints(store, [VAE, other])
    store.write(key(other), whole[:-4])
    with pytest.raises(InputError) as caught:
        plan.check_checkpoints(store, [VAE, other])
    found = str(caught.value)
    assert found.startswith(
        f"{store.path(key(other))} is not a whole safetensors file of {len(whole) - 4} bytes"
    )
    assert found.endswith("delete it to train its cell from the start")
    assert "\n" not in found
    plan.check_checkpoints(store, [VAE])


def test_checkpoints_are_checked_without_their_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver reads only the header of a file of 4 MB."""
    store, other = Store(tmp_path), replace(VAE, seed=1)
    tensors, long_curve = {"w": torch.ones(10**6)}, [{"step": step} for step in range(9_000)]
    store.write(checkpoint_key(VAE), tensor_file.dump(tensors, {"step": 1, "source": None}))
    store.write(
        checkpoint_key(other), tensor_file.dump(tensors, {"curve": long_curve, "source": "older"})
    )
    sizes: list[int] = []
    read_start = Folder.read_start

    def counted(self: Folder, key: str, size: int) -> bytes | None:
        content = read_start(self, key, size)
        sizes.append(len(content or b""))
        return content

    monkeypatch.setattr(Folder, "read_start", counted)
    monkeypatch.setattr(Folder, "read", lambda *_: pytest.fail("the whole file was read"))
    assert plan.check_checkpoints(store, [VAE, other]) == [other]
    assert len(sizes) == 3  # the second header is longer than a first read
    assert sum(sizes) < 10**6


def test_a_checkpoint_written_again_meanwhile_is_read_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size has changed since the listing, because another run wrote it."""
    store = Store(tmp_path)
    store.write(checkpoint_key(VAE), tensor_file.dump({"w": torch.ones(9)}, {"source": None}))
    listed = {checkpoint_key(VAE): FileVersion(0, 1)}
    monkeypatch.setattr(Folder, "versions", lambda *_: listed)
    assert plan.check_checkpoints(store, [VAE]) == []
    store.remove(checkpoint_key(VAE))
    assert plan.check_checkpoints(store, [VAE]) == []


def test_forgetting_a_cell_leaves_its_row_and_all_other_cells(tmp_path: Path) -> None:
    store, other = Store(tmp_path), replace(VAE, seed=1)
    store.write_row(row(VAE))
    for cell in (VAE, other):
        store.write(checkpoint_key(cell), b"c")
        store.write(weights_key(cell), b"w")
    plan.delete_saved_state(store, [VAE])
    plan.delete_saved_state(store, [VAE])
    assert (store.read(checkpoint_key(VAE)), store.read(weights_key(VAE))) == (None, None)
    assert (store.read(checkpoint_key(other)), store.read(weights_key(other))) == (b"c", b"w")
    assert store.row(VAE.id) is not None
