"""An arm with rows of several plug-in versions is reported in one line per model."""

from collections.abc import Sequence

from harness.experiment.cell import Cell
from harness.plugins.source_files import Plugin, plugin_from_text
from harness.scheduling.mixed_sources import describe_source_changes
from harness.storage.schema import Row, describe_cell, make_row

MINE = plugin_from_text("mine.py", "new")
A, B, NOW = 64 * "a", 64 * "b", MINE.sha256
SHORT = NOW[:8]


def cells(seeds: int, model: str = "mine", beta: float = 1.0) -> list[Cell]:
    return [Cell(model, seed, 10, settings=(("z", 2),), beta=beta) for seed in range(seeds)]


def rows(of: Sequence[Cell], source: str | None, status: str = "ok") -> list[Row]:
    return [make_row(describe_cell(cell) | {"source": source, "status": status}) for cell in of]


def said(
    of: Sequence[Cell], fresh: Sequence[Cell], held: list[Row], plugin: Plugin | None = MINE
) -> list[str]:
    return list(describe_source_changes(of, fresh, held, {cell.model: plugin for cell in of}))


def test_equal_texts_need_no_word() -> None:
    five = cells(5)
    assert said(five, five[3:], rows(five[:3], NOW)) == []
    assert said(five, five[3:], rows(five[:3], None), plugin=None) == []
    assert said(five, five, []) == []


def test_an_arm_that_will_mix_is_named() -> None:
    five = cells(5)
    assert said(five, five[3:], rows(five[:3], A)) == [
        f"model 'mine': 3 finished cells used another version of mine.py (aaaaaaaa, now {SHORT}); "
        "arms that mix versions: mine; --resume never runs all cells again"
    ]


def test_an_arm_that_mixes_already_is_named_though_nothing_is_left_to_do() -> None:
    """The grid need not contain the other seeds."""
    five = cells(5)
    (line,) = said(five[:2], [], rows(five[:2], NOW) + rows(five[2:], A))
    assert "3 finished cells used another version" in line
    assert "arms that mix versions: mine;" in line


def test_another_arm_of_another_text_does_not_mix() -> None:
    (line,) = said(cells(2), cells(2), rows(cells(1, beta=4.0), A))
    assert line == (
        f"model 'mine': 1 finished cell used another version of mine.py (aaaaaaaa, now {SHORT}); "
        "no arm mixes versions; --resume never runs all cells again"
    )


def test_several_arms_are_named_up_to_three() -> None:
    every = [cell for beta in (2.0, 3.0, 4.0, 5.0) for cell in cells(2, beta=beta)]
    (line,) = said(every, every[1::2], rows(every[::2], A))
    assert "arms that mix versions: mine β=2, mine β=3, mine β=4 and 1 more;" in line


def test_rows_of_an_older_version_are_of_an_unknown_text() -> None:
    two = cells(2)
    (line,) = said(two, two[1:], rows(two[:1], None))
    assert line.startswith(
        f"model 'mine': 1 finished cell used an unknown version of mine.py (now {SHORT}); "
    )


def test_a_row_that_another_text_scored_is_of_both() -> None:
    (line,) = said(cells(1), [], rows(cells(1), f"{A},{NOW}"))
    assert f"another version of mine.py (aaaaaaaa+{SHORT}, now {SHORT})" in line


def test_a_model_that_was_a_plug_in_and_is_installed_now() -> None:
    (line,) = said(cells(2), cells(2)[1:], rows(cells(1), A), plugin=None)
    assert line.startswith(
        "model 'mine': 1 finished cell used a plug-in (aaaaaaaa), but the model is installed now"
    )


def test_failed_rows_and_those_that_are_computed_anew_do_not_count() -> None:
    two = cells(2)
    assert said(two, two, rows(two, A)) == []
    assert said(two, [], rows(two, A, "failed")) == []


def test_each_model_has_its_line() -> None:
    both = cells(1) + cells(1, "yours")
    lines = list(
        describe_source_changes(
            both, [], rows(both, A), {"mine": MINE, "yours": plugin_from_text("yours.py", "x")}
        )
    )
    assert [line.partition(":")[0] for line in lines] == ["model 'mine'", "model 'yours'"]
