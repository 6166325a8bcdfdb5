"""A section is one file and one name in `SECTIONS`; shared values are computed once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import report
from analysis.comparison import comparisons
from analysis.rendering.section import Content
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section
from analysis.reproduction import references
from analysis.sections import reproduction
from harness.storage.store import Store


def build_slowest(data: ReportData) -> Content:
    """The slowest cell, in a sentence and in a table."""
    slowest = data.rows.nlargest(1, "train_seconds")[["arm", "train_seconds"]]
    table = Table("slowest", "The slowest cell", "", slowest.astype(str), slowest)
    return Content(sentences=[f"{slowest['arm'].iloc[0]} took longest"], tables=[table])


SLOWEST = Section("slowest", "What took longest", build_slowest)


def test_a_new_section_is_one_object_in_one_tuple(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "SECTIONS", (*report.SECTIONS[:2], SLOWEST, report.SECTIONS[-1]))
    page = report.write(report.build_report(full, "results", references.load()), tmp_path)
    html = page.read_text(encoding="utf-8")
    assert '<a href="#slowest">What took longest</a>' in html
    assert "took longest</li>" in html
    assert html.index('<section id="results"') < html.index('<section id="slowest"')
    assert (tmp_path / "tables" / "slowest.csv").is_file()


def test_every_section_has_a_name_and_a_title_of_its_own() -> None:
    assert len({section.name for section in report.SECTIONS}) == len(report.SECTIONS)
    assert len({section.title for section in report.SECTIONS}) == len(report.SECTIONS)


def test_what_sections_share_is_computed_once(full: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        compute: Callable[..., pd.DataFrame] = getattr(module, name)

        def counted(*args: Any) -> pd.DataFrame:
            calls[name] += 1
            return compute(*args)

        monkeypatch.setattr(module, name, counted)

    for module, name in (
        (report, "summarize_arms"),
        (report, "count_cells"),
        (report, "estimate_arms"),
        (reproduction, "compute_verdicts"),
    ):
        count(module, name)
    monkeypatch.setattr(comparisons, "summarize_arms", None)
    report.build_report(full, "results", references.load(), show_all_references=True)
    names = ("summarize_arms", "count_cells", "estimate_arms", "compute_verdicts")
    assert calls == dict.fromkeys(names, 1)
