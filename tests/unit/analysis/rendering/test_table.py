"""Tables as files."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.frames.arm_table import count_cells
from analysis.frames.metrics import describe_metrics
from analysis.rendering.table import (
    FORMULA_PREFIXES,
    MAX_ROWS,
    Table,
    to_csv,
    to_latex,
    to_markdown,
    write,
)
from analysis.sections import summary
from harness.errors import strip_control_chars
from tests.unit.analysis.conftest import HOSTILE, FrameMaker, estimate_all, made, row


def of(text: str) -> Table:
    """A table with this text in every place that a results folder can fill."""
    return Table(
        "name",
        f"Title {text}",
        f"Caption {text}",
        pd.DataFrame({"Arm": [text]}),
        pd.DataFrame({"arm": [text]}),
    )


def build_estimate_table(rows: pd.DataFrame) -> Table:
    """Every estimate of these rows."""
    metrics = list(describe_metrics(rows).values())
    return summary.build_estimate_table(estimate_all(rows), count_cells(rows), metrics)


def test_every_form_carries_kind_and_n(results: FrameMaker, tmp_path: Path) -> None:
    table = build_estimate_table(
        results(row(made("vae", 0)), row(made("vae", 1), iterations=20_000))
    )
    csv, md, tex = write(table, tmp_path)
    assert "100.20 ± 0.20 (SE, n = 2)" in md.read_text(encoding="utf-8")
    assert r"100.20 $\pm$ 0.20 (SE, n = 2)" in tex.read_text(encoding="utf-8")
    numbers = pd.read_csv(io.StringIO(csv.read_text(encoding="utf-8")))
    assert numbers.loc[0, "n"] == 2
    assert numbers.loc[0, "mean"] == pytest.approx(100.2)
    assert numbers.loc[0, "se"] == pytest.approx(0.2)


def test_shortened_is_in_the_rows_of_every_printed_form(results: FrameMaker) -> None:
    table = build_estimate_table(results(row(made("vae", iterations=600))))
    for form in (to_markdown, to_latex):
        assert form(table).count("shortened: 600 of 20,000 steps") == 3


def test_hostile_text_is_escaped() -> None:
    md, tex = to_markdown(of(HOSTILE)), to_latex(of(HOSTILE))
    assert "<script>" not in md + tex
    assert r"\textless{}script\textgreater{}" in tex
    assert r"\& \textbar{} \textbackslash{} \_ \$x\$ {[}red{]}" in tex
    assert r"&lt;script&gt;" in md
    assert r"\| \\ \_" in md


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_text_breaks_a_row_of_markdown(text: str) -> None:
    table = [line for line in to_markdown(of(text)).splitlines() if line.startswith("| ")]
    assert len(table) == 3
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table} == {2}


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_text_leaves_a_bare_command_in_latex(text: str) -> None:
    body = to_latex(of(text)).split(r"\midrule")[1].split(r"\bottomrule")[0]
    named = r"\\(text(backslash|asciitilde|asciicircum|less|greater|bar)|ldots)\{\}"
    signs = r"\$(\\(beta|rho|chi|pm|times|geq|leq|cdot)|\^2|-)\$"
    rest = (
        re.sub(rf"{named}|\\[_%&#${{}}\\]|{signs}", "", body).replace("{[}", "").replace("{]}", "")
    )
    assert not set(rest) & set("\\_%&#$~^{}")


def test_figures_are_set_to_the_right_and_wide_tables_smaller() -> None:
    text = pd.DataFrame(
        {"A": ["vae", "gmvae"], "p": ["1e-8", "–"], "d": ["−2.30 [−2.60, −2.00]", "< 0.01"]}
    )
    tex = to_latex(Table("t", "", "", text, text))
    assert r"\begin{tabular}{lrr}" in tex
    assert r"\small" not in tex
    wide = pd.concat([text, text.add_suffix("2"), text.add_suffix("3")], axis=1)
    assert "\\small\\setlength{\\tabcolsep}{3pt}\n\\begin{tabular}" in to_latex(
        Table("t", "", "", wide, wide)
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1))
def test_no_text_of_a_csv_is_a_formula_and_no_number_changes(texts: list[str]) -> None:
    values = pd.DataFrame({"arm": texts, "nelbo": [-1.5] * len(texts), "=head": texts})
    read = pd.read_csv(
        io.StringIO(to_csv(values)), dtype=str, keep_default_na=False, na_filter=False
    )
    assert list(read) == ["arm", "nelbo", "'=head"]
    assert set(read["nelbo"]) == {"-1.5"}
    assert not any(text.startswith(FORMULA_PREFIXES) for text in read["arm"])


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_formula_becomes_text(formula: str) -> None:
    assert (
        to_csv(pd.DataFrame({"arm": [formula]})).split("\n", 1)[1]
        == f"'{strip_control_chars(formula)}\n"
    )


def test_people_read_the_first_rows_and_the_csv_has_all(tmp_path: Path) -> None:
    rows = pd.DataFrame({"Arm": [f"arm {number}" for number in range(MAX_ROWS + 5)]})
    table = Table("name", "Title", "Caption.", rows, rows)
    whole, md, tex = (path.read_text(encoding="utf-8") for path in write(table, tmp_path))
    assert len(whole.splitlines()) == MAX_ROWS + 6
    for text in (md, tex):
        assert f"arm {MAX_ROWS - 1} " in text
        assert f"arm {MAX_ROWS} " not in text
        assert "The first 300 rows; 5 more are in name.csv." in text
    few = Table("name", "Title", "Caption.", rows[:3], rows[:3])
    assert few.excerpt is few
