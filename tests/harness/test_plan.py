"""The plan: what is done is not done again, what is left is packed, damage is told before anything starts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import engine, plan, registry, schema, tensorfile
from harness.contract import PIXELS
from harness.data import Data
from harness.errors import BadInput
from harness.evaluation import Evaluation
from harness.grid import Cell
from harness.plan import RESUME, Resume
from harness.schema import Row
from harness.store import Store
from harness.trial import checkpoint_key, weights_key
from tests.conftest import CellMaker

VAE = Cell("vae", 0, 10, settings=(("z", 10),))
SUPERVISED = Cell("ssvae", 0, 10, supervision="supervised", labels=100, label_draw="seed")
SUBSET = Evaluation((10,), ("subset",), "mnist", (1, 2), subset_checksum="this")
PLAIN = Evaluation()


def row(cell: Cell, status: str = "ok", evaluated: str = "nelbo", **values: object) -> Row:
    return schema.row(schema.describe(cell) | {"status": status, "evaluated": evaluated} | values)


def by_id(*rows: Row) -> dict[str, Row]:
    return {row["cell"]: row for row in rows}


# --- what is left ----------------------------------------------------------------------------------------------------

NEW, DONE, FAILED, DIVERGED, UNSCORED = (replace(VAE, seed=seed) for seed in range(5))
ROWS = by_id(
    row(DONE), row(FAILED, "failed", ""), row(DIVERGED, "diverged", ""), row(UNSCORED, evaluated="accuracy")
)  # fmt: skip


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
    made = plan.make(cells, ROWS, PLAIN, resume, 8)
    assert list(made.todo) == left
    assert made.cells == tuple(cells)
    assert made.steps == 10 * len(left)


def test_every_way_to_resume_is_tested() -> None:
    assert set(RESUME) == {"missing", "failed", "always", "never"}


def test_a_larger_grid_trains_only_what_is_new() -> None:
    larger = [replace(VAE, seed=seed, beta=beta) for beta in (1.0, 4.0) for seed in range(3)]
    made = plan.make(larger, by_id(*(row(cell) for cell in larger[:3])), PLAIN, "missing", 8)
    assert list(made.todo) == larger[3:]


@pytest.mark.parametrize(
    ("cell", "found", "evaluation", "expected"),
    [
        (VAE, row(VAE), PLAIN, True),
        (VAE, row(VAE, evaluated="accuracy,nelbo"), PLAIN, True),
        (VAE, row(VAE), Evaluation((10,)), False),
        (VAE, row(VAE), SUBSET, False),
        (VAE, row(VAE, evaluated="nelbo,subset_nelbo,subset_iwae_10", subset_checksum="this"), SUBSET, True),
        (VAE, row(VAE, evaluated="nelbo,subset_nelbo,subset_iwae_10", subset_checksum="that"), SUBSET, False),
        (VAE, row(VAE, evaluated="nelbo,subset_nelbo", subset_checksum="that"), PLAIN, True),
        (replace(VAE, dataset="kmnist"), row(VAE), replace(SUBSET, iwae=()), True),
        (SUPERVISED, row(SUPERVISED, evaluated="accuracy"), SUBSET, True),
        (SUPERVISED, row(SUPERVISED, evaluated=""), PLAIN, False),
        (VAE, schema.row({"cell": VAE.id, "status": "ok"}), PLAIN, False),
    ],
    ids=["scored", "more than asked", "a bound more", "a subset more", "this list", "another list", "a list no more",
         "a list of another set", "no bound, any list", "nothing scored", "never told"],
)  # fmt: skip
def test_a_row_is_done_when_it_has_the_scores_that_are_asked_for(
    cell: Cell, found: Row, evaluation: Evaluation, expected: bool
) -> None:
    assert plan.scored(cell, found, evaluation) is expected
    assert (cell not in plan.make([cell], {cell.id: found}, evaluation, "missing", 1).todo) is expected


# --- packs -----------------------------------------------------------------------------------------------------------

CELLS = st.lists(
    st.builds(
        Cell,
        model=st.sampled_from(["vae", "gmvae"]),
        seed=st.integers(0, 20),
        iterations=st.sampled_from([10, 20]),
        settings=st.sampled_from([(("z", 2),), (("z", 3),)]),
        beta=st.sampled_from([1.0, 4.0]),
        dataset=st.sampled_from(["mnist", "kmnist"]),
        batch_size=st.sampled_from([50, 97]),
        learning_rate=st.sampled_from([1e-3, 1e-2]),
    ),
    unique=True,
    max_size=40,
)


@settings(deadline=None)
@given(CELLS, st.integers(1, 9))
def test_packs_hold_every_cell_once_alike_and_as_full_as_can_be(cells: list[Cell], size: int) -> None:
    made = plan.make(cells, {}, PLAIN, "missing", size)
    assert sorted(made.todo, key=cells.index) == cells
    groups: dict[Cell, list[int]] = {}
    for pack in made.packs:
        (common,) = {replace(cell, seed=0, beta=1.0, learning_rate=1.0) for cell in pack}
        groups.setdefault(common, []).append(len(pack))
        assert sorted(pack, key=cells.index) == list(pack)
    for sizes in groups.values():
        assert sizes == [size] * (len(sizes) - 1) + sizes[-1:]
        assert 1 <= sizes[-1] <= size


@pytest.mark.parametrize(
    "change",
    [{"model": "gmvae"}, {"iterations": 9}, {"settings": (("z", 2),)}, {"dataset": "kmnist"}, {"batch_size": 9},
     {"supervision": "supervised"}, {"labels": 50}, {"label_draw": "draw-1"}],
)  # fmt: skip
def test_cells_that_differ_in_more_than_scalars_are_apart(change: dict[str, object]) -> None:
    other = replace(VAE, **change)  # type: ignore[arg-type]
    assert plan.make([VAE, other], {}, PLAIN, "missing", 8).packs == ((VAE,), (other,))


def test_a_pack_of_no_cell_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^pack 0: expected at least 1 cell$"):
        plan.make([VAE], {}, PLAIN, "missing", 0)


# --- files -----------------------------------------------------------------------------------------------------------

KEYS = pytest.mark.parametrize("key", [checkpoint_key, weights_key])


@KEYS
def test_a_half_written_file_is_named_before_anything_starts(tmp_path: Path, key: Callable[[Cell], str]) -> None:
    store, other = Store(tmp_path), replace(VAE, seed=1)
    whole = tensorfile.dump({"w": torch.ones(9)}, {"step": 1})
    store.write(key(VAE), whole)
    plan.check_files(store, [VAE, other])
    store.write(key(other), whole[:-4])
    with pytest.raises(BadInput) as caught:
        plan.check_files(store, [VAE, other])
    found = str(caught.value)
    assert found.startswith(f"{store.path(key(other))} is not a whole safetensors file of {len(whole) - 4} bytes")
    assert found.endswith("delete it to train its cell from the start")
    assert "\n" not in found
    plan.check_files(store, [VAE])


def test_forgetting_a_cell_leaves_its_row_and_all_other_cells(tmp_path: Path) -> None:
    store, other = Store(tmp_path), replace(VAE, seed=1)
    store.write_row(row(VAE))
    for cell in (VAE, other):
        store.write(checkpoint_key(cell), b"c")
        store.write(weights_key(cell), b"w")
    plan.forget(store, [VAE])
    plan.forget(store, [VAE])
    assert (store.read(checkpoint_key(VAE)), store.read(weights_key(VAE))) == (None, None)
    assert (store.read(checkpoint_key(other)), store.read(weights_key(other))) == (b"c", b"w")
    assert store.row(VAE.id) is not None


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_step_is_timed_once_for_each_kind_of_pack(cell: CellMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the threads of a trial; afterwards torch has its own again."""
    cells = [*(cell("vae", seed) for seed in range(5)), cell("ssvae", supervision="supervised", label_draw="file-a")]
    images, classes = torch.zeros(200, PIXELS, dtype=torch.uint8), torch.arange(200) % 10
    data = Data("mnist", images, classes, images, classes, "")
    threads: list[int] = []
    original = engine.Pack.one_step

    def counted(pack: engine.Pack) -> None:
        threads.append(torch.get_num_threads())
        original(pack)

    monkeypatch.setattr(engine.Pack, "one_step", counted)
    before = torch.get_num_threads()
    made = plan.make(cells, {}, PLAIN, "missing", 2)
    costs = plan.step_seconds(made, {"mnist": data}, (3, 4), threads=2)
    assert set(costs) == {engine.key(cells[0]), engine.key(cells[-1])}
    assert all(0 < seconds < 10 for seconds in costs.values())
    assert threads == [2] * (2 * plan.TIMED_STEPS)
    assert torch.get_num_threads() == before


def test_the_time_of_a_kind_is_that_of_its_first_pack_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {3: 6.0, 2: 99.0, 1: 5.0}
    monkeypatch.setattr(plan, "_timed", lambda cells, *_: seconds[len(cells)])
    cells = [*(replace(VAE, seed=seed) for seed in range(5)), SUPERVISED]
    nothing = torch.zeros(1)
    data = Data("mnist", nothing, nothing, nothing, nothing, "")
    costs = plan.step_seconds(plan.make(cells, {}, PLAIN, "missing", 3), {"mnist": data}, (), threads=1)
    assert costs == {engine.key(VAE): 2.0, engine.key(SUPERVISED): 5.0}


def test_what_cells_of_a_pack_share_is_a_cell_that_builds(cell: CellMaker) -> None:
    assert registry.build(engine.key(cell("vae", 3, beta=4.0))) is not None
