"""The measures of the code's structure, on a small project and on this one."""

import json
from pathlib import Path

import pytest

from benchmarks import structure
from benchmarks.structure import ROOT, measure, render

FILES = {
    "harness/__init__.py": "",
    "harness/low.py": '"""Low."""\n\ndef keep() -> int:\n    """Keep."""\n    return 1\n',
    "harness/high.py": "from harness.low import keep\n\ndef kept(x):\n    y = keep()\n    return "
    "x + y\n",
    "harness/part/__init__.py": "",
    "harness/part/one.py": "from . import two\nfrom ..low import keep\n",
    "harness/part/two.py": "def late():\n    import harness.part.one\n",
    "analysis/top.py": f"from harness import high  # {'long ' * 20}\n",
    "tests/test_low.py": "assert True\n\nassert True\n",
    "README.md": "Two words\n\n```sh\nmake it now\n```\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two packages."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_files_and_imports_are_counted(project: Path) -> None:
    """`one` and `two` import each other, `two` inside a function."""
    found = measure(project)
    files = {name: found[f"files in {name}/"] for name in ("harness", "harness/part", "analysis")}
    assert files == {"harness": 3, "harness/part": 3, "analysis": 1}
    assert (found["arrows between modules"], found["levels of imports"]) == (5, 3)
    assert (found["cycles of modules"], found["arrows within cycles of modules"]) == (1, 2)
    assert found["cycles of folders"] == 0
    assert (found["levels in harness/"], found["levels in harness/part/"]) == (2, 1)


def test_functions_lines_and_words_are_counted(project: Path) -> None:
    found = measure(project)
    assert (
        found["functions"],
        found["lines of a body, median"],
        found["lines of a body, most"],
    ) == (3, 1, 2)
    assert found["returns annotated, %"] == pytest.approx(100 / 3, abs=0.1)
    assert found["public names with a docstring, %"] == pytest.approx(100 * 2 / 10, abs=0.1)
    assert found["function names that are a bare participle"] == 1
    assert found["lines over 100 columns, %"] == pytest.approx(
        100 / found["lines of code"], abs=0.1
    )
    assert found["lines of tests for a line of code"] == round(2 / found["lines of code"], 2)
    assert (found["README, words"], found["README, columns of the longest line of code"]) == (2, 11)


def test_this_project_beside_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, now = ROOT / "benchmarks" / "structure_before.json", tmp_path / "now.json"
    monkeypatch.setattr("sys.argv", ["structure", "--against", str(before), "--save", str(now)])
    structure.main()
    assert capsys.readouterr().out == render(measure(ROOT), json.loads(before.read_text())) + "\n"
    assert json.loads(now.read_text()) == measure(ROOT)
