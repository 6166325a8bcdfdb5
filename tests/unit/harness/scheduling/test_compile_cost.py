"""Compiling costs by the operations of a step, and nothing where this machine has the code."""

from pathlib import Path

import pytest
import torch

from harness.experiment.cell import Cell
from harness.scheduling import compile_cost
from harness.scheduling.compile_cost import add_compile_cost
from harness.training.compiled_code import note_compiled
from harness.training.task import Cost
from harness.training.trainer import PackTrainer
from tests.conftest import CellMaker
from tests.unit.harness.scheduling.test_step_timing import SETS

BARE = Cost(0.001, 0.002)


@pytest.fixture(autouse=True)
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has compiled nothing."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "code"))
    return tmp_path / "code"


def with_compiling(cell: Cell, threads: int = 1) -> Cost:
    return add_compile_cost(BARE, cell.pack_key, PackTrainer([cell], SETS["mnist"]), threads)


def test_a_kind_of_more_operations_takes_longer_to_compile_and_to_load(cell: CellMaker) -> None:
    one, other = with_compiling(cell("vae")), with_compiling(cell("gmvae"))
    assert 0 < one.load < one.compile
    assert one.load < other.load
    assert one.compile < other.compile
    assert (one.fixed, one.per_cell, one.score) == (BARE.fixed, BARE.per_cell, BARE.score)


def test_operations_are_counted() -> None:
    with compile_cost._OperationCounter() as counter:
        torch.ones(3).add(1).mul(2)
    assert counter.count == 3


def test_a_machine_knows_the_sizes_that_it_has_compiled(cell: CellMaker, compiled: Path) -> None:
    one = cell("vae")
    assert with_compiling(one).compiled_sizes == frozenset()
    for size in (2, 5):
        note_compiled(one.pack_key, size, threads=1)
    note_compiled(cell("gmvae").pack_key, 7, threads=1)
    assert with_compiling(one).compiled_sizes == {2, 5}
    assert with_compiling(cell("vae", seed=4, iterations=99)).compiled_sizes == {2, 5}
    assert with_compiling(one, threads=2).compiled_sizes == frozenset()
    assert with_compiling(cell("vae", settings={"z": 3})).compiled_sizes == frozenset()


def test_no_note_can_be_written_and_nothing_fails(cell: CellMaker, compiled: Path) -> None:
    compiled.write_text("a file where the folder should be")
    note_compiled(cell("vae").pack_key, 2, threads=1)
    assert with_compiling(cell("vae")).compiled_sizes == frozenset()
