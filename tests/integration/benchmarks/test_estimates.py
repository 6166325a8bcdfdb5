"""The table of foretold and taken times."""

import pytest

from benchmarks.estimates import COMMANDS, Measured, format_page, parse_time
from harness.experiment import grid_file


@pytest.mark.parametrize(
    ("text", "seconds"), [("9 s", 9), ("2 min 18 s", 138), ("1 h 28 min", 5280), ("0 s", 0)]
)
def test_a_printed_time_is_read(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


def test_every_shipped_grid_is_measured() -> None:
    assert {name for name, *_ in COMMANDS} == {*grid_file.list_shipped()}


def test_the_page_has_a_line_for_each_command() -> None:
    runs = Measured(125.0, 140.0, 150.0), Measured(100.0, 110.0, 121.0)
    page = format_page({"quick": runs})
    assert page.endswith("| `quick` | 125 | 140 | 1.12 | 100 | 110 | 1.10 | 121 |\n")
