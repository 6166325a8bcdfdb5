"""The documentation site builds without a warning, and its examples print what it says."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    pytest.importorskip("mkdocs", reason="needs the packages of docs/site/requirements.lock")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_menu(site: Path) -> None:
    menu = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        address = "." if page.stem == "index" else f"{page.stem}/"
        assert f'href="{address}"' in menu, page


def test_a_page_asks_no_other_server_for_anything(site: Path) -> None:
    for page in site.rglob("index.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|<link[^>]* href)="https?://', text), page


def test_the_api_shows_arguments_as_a_list_and_examples_as_code(site: Path) -> None:
    text = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("harness.api.run", "analysis.results.Results", "register_metric", "DataSpec"):
        assert f'id="harness.plugins.{name}"' in text or f'id="{name}"' in text or name in text
    assert re.search(r"<li>\s*<p>?<code>grid</code>|<li><code>grid</code>", text)


def test_links_out_of_the_docs_show_pictures_and_name_other_files(site: Path) -> None:
    performance = (site / "performance" / "index.html").read_text(encoding="utf-8")
    assert 'src="../repository/benchmarks/speed.png"' in performance
    assert (site / "repository" / "benchmarks" / "speed.png").is_file()
    assert "<code>benchmarks/speed.md</code> in the repository" in performance
    reproduction = (site / "reproduction" / "index.html").read_text(encoding="utf-8")
    assert 'href="../repository/results/report/report/report.html"' in reproduction
    assert (site / "repository" / "results" / "report" / "report" / "report.html").is_file()


def test_docstrings_become_lists_and_code() -> None:
    pytest.importorskip("griffe", reason="needs the packages of docs/site/requirements.lock")
    file = str(ROOT / "docs" / "site" / "docstrings.py")
    done = subprocess.run([sys.executable, "-m", "doctest", file], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_examples_of_the_statistics_print_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = doctest.testfile(str(ROOT / "docs" / "statistics.md"), module_relative=False)
    assert found.attempted >= 5
    assert found.failed == 0
