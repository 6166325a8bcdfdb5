"""The models of the field train in packs as alone, resume to the bit, and are scored."""

import pytest

from harness.experiment.cell import Cell
from harness.plugins import source_files
from harness.plugins.dataset import Data
from harness.storage.schema import Row
from harness.storage.store import Store
from tests.unit import model_checks
from tests.unit.models.made_up.conftest import EXACT, NAMES, UNBOUNDED, ExampleCell, list_plugins

OVER_NAMES = pytest.mark.parametrize("name", NAMES)


@OVER_NAMES
def test_a_cell_loses_the_same_alone_and_in_a_pack(
    name: str, example: ExampleCell, data: Data
) -> None:
    model_checks.check_a_pack_is_as_alone([example(name, seed) for seed in (0, 1)], data)


@OVER_NAMES
def test_an_interrupted_training_ends_with_the_same_bits(
    name: str, example: ExampleCell, data: Data
) -> None:
    model_checks.check_resuming([example(name, seed) for seed in (0, 1)], data)


def score(cell: Cell, store: Store, data: Data) -> Row:
    plugins = source_files.read_plugins(list_plugins(cell.model))
    return model_checks.score(cell, store, data, plugins)


@OVER_NAMES
def test_the_row_says_what_its_number_is(
    name: str, example: ExampleCell, small_store: Store, data: Data
) -> None:
    row = score(example(name), small_store, data)
    estimator = "exact" if name in EXACT else "none" if name in UNBOUNDED else "elbo"
    model_checks.check_row(row, estimator)


def test_a_family_of_pythae_without_a_bound_has_no_nelbo(
    example: ExampleCell, small_store: Store, data: Data
) -> None:
    row = score(example("pythae", settings={"family": "WAE_MMD"}), small_store, data)
    assert (row["status"], row["estimator"], row["nelbo"]) == ("ok", "none", None)
