"""The source report's digit counts: the direct test answers "more balanced"."""

import pytest
from scipy.stats import chi2

from analysis.rendering.table import to_markdown
from analysis.reproduction.references import DigitCounts, load
from analysis.sections.reference_digits import build_tables, compute_chi_squares


def test_the_figures_of_the_protocol() -> None:
    found = compute_chi_squares(load().digit_counts)
    assert found["chi2"].tolist() == pytest.approx([17.2, 8.5, 8.35], abs=0.005)
    assert found["p"].tolist() == pytest.approx([0.046, 0.48, 0.50], abs=0.005)
    assert found["samples"].tolist() == [200, 200, 400]
    assert found["verdict"].tolist() == [
        "not uniform",
        "no departure from uniform shown; the report says of it: more balanced",
        "no difference between vae and gmvae shown: that one is more even is not supported",
    ]


def test_by_hand() -> None:
    """Off by 20 in two cells of 20: 2 · 20²/20; pairs expect 10, 10 and 30, 30, each off by 10."""
    even = DigitCounts(name="a", source="", origin="measured", model="even", counts=[20] * 10)
    odd = DigitCounts(
        name="a", source="", origin="measured", model="odd", counts=[0, 40, *[20] * 8]
    )
    found = compute_chi_squares([even, odd])
    assert found["chi2"].tolist() == pytest.approx([0, 40, 2 * 100 / 10 + 2 * 100 / 30])
    assert found["p"].tolist() == pytest.approx(
        [float(chi2.sf(value, 9)) for value in (0, 40, 20 + 20 / 3)]
    )
    assert found["verdict"].tolist()[1:] == ["not uniform", "even and odd differ"]


def test_rows_of_two_studies_are_not_tested_against_each_other() -> None:
    one, other = load().digit_counts
    assert len(compute_chi_squares([one, other.model_copy(update={"name": "another"})])) == 2


def test_nothing_printed_is_no_table() -> None:
    assert build_tables([]) == []
    assert "| 8.35 " in to_markdown(build_tables(load().digit_counts)[0])
