"""The check of printed sums."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from analysis.reproduction.consistency import adds_up_as_printed, check_sum
from analysis.reproduction.references import load

CENTS = st.decimals(Decimal(1), Decimal(200), places=2)


def test_exactly_two_printed_rows_do_not_add_up() -> None:
    checked = {(r.table, r.name, r.evaluation): check_sum(r.figures) for r in load().references}
    broken = {place: check.text for place, check in checked.items() if check and not check.holds}
    assert broken == {
        (
            "table-1",
            "staff runs",
            "report_subset",
        ): "does not add up: 19.29 + 82.57 = 101.86, not 101.5; no swap of two digits mends it",
        (
            "table-2",
            "source report",
            "report_subset",
        ): "does not add up: 17.18 + 81.25 = 98.43, not 99.06; "
        "with two digits swapped, KL 17.81, it would",
    }


@given(CENTS, CENTS)
def test_a_sum_holds_to_rounding_and_no_further(kl: Decimal, rec: Decimal) -> None:
    assert adds_up_as_printed(kl + rec, kl, rec)
    assert adds_up_as_printed(kl + rec + Decimal("0.01"), kl, rec)
    assert not adds_up_as_printed(kl + rec + Decimal("0.02"), kl, rec)


def test_a_row_without_three_parts_is_not_checked() -> None:
    assert check_sum(load().for_table("table-3", "test")[0].figures) is None
