from collections.abc import Sequence

from harness.experiment.cell import Cell
from harness.search.looks import MakeUnit, Unit, follow_looks


def make_arm(name: str, n_cells: int = 1) -> MakeUnit:
    def make_unit(index: int) -> Unit:
        return Unit([Cell(name, seed=index, iterations=step + 1) for step in range(n_cells)])

    return make_unit


ARMS = [make_arm("a"), make_arm("b"), make_arm("c", n_cells=2)]
LOOKS = [2, 4, 6]


def rows_of(cells: Sequence[Cell]) -> dict[str, dict[str, str]]:
    return {cell.id: {"status": "ok"} for cell in cells}


def test_the_first_look_is_known_from_the_start() -> None:
    state = follow_looks(ARMS, LOOKS, {}, lambda cells: set())
    assert [len(units) for units in state.units] == [2, 2, 2]
    assert (state.n_taken, sorted(state.running)) == (0, [0, 1, 2])
    assert state.n_open == 4 + 4 + 8


def test_settled_arms_get_no_more() -> None:
    first = follow_looks(ARMS, LOOKS, {}, lambda cells: set()).cells
    seen = []

    def find_running(cells: Sequence[Sequence[Cell]]) -> set[int]:
        seen.append([len(each) for each in cells])
        return {0, 2}

    state = follow_looks(ARMS, LOOKS, rows_of(first), find_running)
    assert seen == [[2, 2, 4]]
    assert [len(units) for units in state.units] == [4, 2, 4]
    assert state.n_open == 2 + 4
    answers = iter([{0, 2}, {0, 1}])
    again = follow_looks(ARMS, LOOKS, rows_of(state.cells), lambda cells: next(answers))
    assert (again.n_taken, sorted(again.running)) == (2, [0])  # a settled arm stays settled


def test_a_missing_row_keeps_a_look_waiting() -> None:
    first = follow_looks(ARMS, LOOKS, {}, lambda cells: set()).cells
    state = follow_looks(ARMS, LOOKS, rows_of(first[1:]), lambda cells: {0, 1, 2})
    assert (len(state.cells), state.n_taken) == (len(first), 0)


def test_the_last_look_ends_all() -> None:
    cells = [cell for arm in ARMS for index in range(6) for cell in arm(index).cells]
    state = follow_looks(ARMS, LOOKS, rows_of(cells), lambda cells: {0, 1, 2})
    assert (state.n_taken, state.n_open, sorted(state.running)) == (3, 0, [])
    assert sorted(state.cells, key=lambda cell: cell.id) == sorted(cells, key=lambda c: c.id)
