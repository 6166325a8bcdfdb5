"""The published figures, as printed, and the check of their sums."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analysis.references import FILE, adds_up, load, parts
from tests.analysis.conftest import LISTED

CENTS = st.decimals(Decimal(1), Decimal(200), places=2)


def test_the_source_report_as_protocol_says() -> None:
    found = {(r.table, r.evaluation, r.name, r.supervision): r for r in load().references}
    first = found["table-1", "report_subset", "source report", "none"]
    assert {name: (str(f.mean), str(f.se)) for name, f in first.figures.items()} == {
        "nelbo": ("101.31", "0.08"),
        "kl": ("19.33", "0.04"),
        "rec": ("81.98", "0.10"),
    }
    staff = found["table-1", "report_subset", "staff runs", "none"]
    assert (staff.n, staff.figures["nelbo"].spread) == (100, (Decimal("0.55"), "SD"))
    third = found["table-3", "test", "source report", "semi-supervised"]
    assert (third.n, third.figures["accuracy"].mean) == (1, Decimal("95.45"))
    assert load().report_subset == LISTED


def test_exactly_two_printed_rows_do_not_add_up() -> None:
    checked = {(r.table, r.name, r.evaluation): parts(r.figures) for r in load().references}
    broken = {place: check.text for place, check in checked.items() if check and not check.hold}
    assert broken == {
        ("table-1", "staff runs", "report_subset"): "does not add up: 19.29 + 82.57 = 101.86, not 101.5; "
        "no swap of two digits mends it",
        ("table-2", "source report", "report_subset"): "does not add up: 17.18 + 81.25 = 98.43, not 99.06; "
        "with two digits swapped, KL 17.81, it would",
    }


@given(CENTS, CENTS)
def test_a_sum_holds_to_rounding_and_no_further(kl: Decimal, rec: Decimal) -> None:
    assert adds_up(kl + rec, kl, rec)
    assert adds_up(kl + rec + Decimal("0.01"), kl, rec)
    assert not adds_up(kl + rec + Decimal("0.02"), kl, rec)


def test_a_row_without_three_parts_is_not_checked() -> None:
    assert parts(load().of("table-3", "test")[0].figures) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('mean: "101.31"', "mean: 101.31"),
        ('figures: {accuracy: {mean: "75.97"}}', 'figures: {accuracy: {mean: "75.97", se: "0.1"}}'),
        ('figures: {accuracy: {mean: "75.97"}}', 'figures: {precision: {mean: "75.97"}}'),
        ("evaluation: report_subset", "evaluation: validation"),
        ("    origin: published\n", ""),
    ],
)
def test_a_figure_without_its_kind_set_or_source_is_refused(old: str, new: str, tmp_path: Path) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    changed = tmp_path / "references.yaml"
    changed.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValidationError):
        load(changed)
