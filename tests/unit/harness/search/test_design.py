"""The due cells are a function of the rows, whatever their order."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.experiment import grid_file
from harness.plugins import registry
from harness.search.design import Design
from harness.storage.schema import Row
from tests.unit.harness.search.worlds import SWEEPS, complete, make_design, score_by_id

METHODS = ["random", "halving", "tpe"]
DESIGNS = {method: make_design(method=method, trials=13) for method in METHODS}
EXPECTED = {method: complete(design) for method, design in DESIGNS.items()}


def list_winner_ids(design: Design, rows: dict[str, Row]) -> list[str | None]:
    return [winner.id if winner else None for _, _, winner in design.list_winners(rows)]


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=8)
@given(order=st.integers(0, 2**32))
def test_rows_in_any_order_lead_to_the_same_cells_and_winners(method: str, order: int) -> None:
    design, rows, before = DESIGNS[method], dict[str, Row](), set[str]()
    generator = random.Random(order)
    while due := design.list_due(rows):
        ids = {cell.id for cell in due}
        assert before <= ids  # more rows take no cell away
        assert len(ids) == len(due)
        left = [cell for cell in due if cell.id not in rows]
        if not left:
            break
        arrived = generator.sample(left, generator.randint(1, len(left)))
        rows |= {cell.id: score_by_id(cell) for cell in arrived}
        before = ids
    assert rows.keys() == EXPECTED[method].keys()
    assert list_winner_ids(design, rows) == list_winner_ids(design, EXPECTED[method])


@pytest.mark.parametrize("method", METHODS)
def test_what_may_still_come_is_never_underestimated(method: str) -> None:
    design, rows = DESIGNS[method], dict[str, Row]()
    total = len(EXPECTED[method])
    while due := [cell for cell in design.list_due(rows) if cell.id not in rows]:
        assert len(rows) + len(due) + design.count_open(rows) >= total
        rows |= {cell.id: score_by_id(cell) for cell in due}
    assert design.count_open(rows) == 0


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_an_extended_search_keeps_all_trials(method: str) -> None:
    larger = make_design(method=method, trials=17, studies=3)
    kept = {cell.id for cell in larger.list_due(EXPECTED[method])}
    known = DESIGNS[method].list_due(EXPECTED[method])
    assert {cell.id for cell in known if cell.stage == "search"} <= kept


def test_ids_of_a_grid_without_a_search_are_those_of_its_sweeps() -> None:
    grid = grid_file.validate({"name": "plain", "seeds": 2, "sweeps": SWEEPS})
    design = Design(grid, registry.cards())
    cells = grid.cells(registry.cards())
    assert design.list_due({}) == cells
    assert {cell.stage for cell in cells} == {""}
    assert design.count_open({}) == 0
    assert [design.describe_search(cell) for cell in cells] == [""] * 4


def test_a_row_describes_the_trials_of_its_own_sweep() -> None:
    sweeps = [SWEEPS[0] | {"trials": 3}, SWEEPS[1] | {"trials": 7}]
    design = make_design(sweeps, budget="free")
    rows = complete(design)
    found = {
        (cell.model, json.loads(design.describe_search(cell))["trials"])
        for cell in design.list_due(rows)
    }
    assert found == {("vae", 3), ("gmvae", 7)}


def test_configurations_of_one_model_are_told_apart() -> None:
    sweeps = [SWEEPS[0] | {"beta": 1.0, "trials": 3}, SWEEPS[0] | {"beta": 4.0, "trials": 7}]
    design = make_design(sweeps, budget="free")
    found = {
        (cell.beta, json.loads(design.describe_search(cell))["trials"])
        for cell in design.list_due(complete(design))
    }
    assert found == {(1.0, 3), (4.0, 7)}


def test_unequal_budgets_are_refused_unless_the_grid_says_free() -> None:
    for sweep, told in (
        ({"trials": 9}, "arms of 4 and 9 trials"),
        ({"iterations": 91}, "arms of 90 and 91 steps of a full training"),
    ):
        sweeps = [SWEEPS[0], SWEEPS[1] | sweep]
        with pytest.raises(InputError, match=told):
            make_design(sweeps).list_due({})
        assert make_design(sweeps, budget="free").list_due({})


def test_states_of_ended_searches_are_spent() -> None:
    design, rows = DESIGNS["halving"], EXPECTED["halving"]
    assert design.list_spent({}) == []
    spent = {cell.id for cell in design.list_spent(rows)}
    assert spent == {cell.id for cell in design.list_due(rows) if cell.stage == "search"}
