"""The table "change | place" of CONTRIBUTING is true, and each change is made in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.report import SECTIONS
from harness.storage import layout
from tests.conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# what each change changes there
SYMBOLS = {
    "a column of the results table": "Column",
    "the path of a file in a results folder": "row_key",
    "when requests to storage are retried": "RetryPolicy",
    "how often a cell is retried after its process died": "MAX_RETRIES",
    "five seeds for a verdict, and every other threshold": "MIN_SEEDS",
    "the wording of a verdict": "direction_words",
    "the format of numbers": "format_number",
    "the heading and unit of a metric": "METRIC_BY_COLUMN",
    "a section of the report": "",
    "the order of the sections": "SECTIONS",
    "a command for results folders": "",
}
MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for package in ("harness", "models", "analysis")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def read_places() -> dict[str, str]:
    """The file or folder of each change in the table."""
    table = TEXT.split("| change | place |")[1].split("\n\n")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {change.strip(): re.findall(r"`([^`]*/[^`]*)`", place)[0] for change, place in lines}


def defined_names(tree: ast.Module) -> Iterator[str]:
    """The functions, classes and constants at the top of a module."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def test_every_change_is_checked_here() -> None:
    assert read_places().keys() == SYMBOLS.keys()


@pytest.mark.parametrize("change", [change for change, symbol in SYMBOLS.items() if symbol])
def test_the_place_is_the_only_one_that_defines_it(change: str) -> None:
    found = [file for file, tree in MODULES.items() if SYMBOLS[change] in defined_names(tree)]
    assert found == [read_places()[change]]


def test_every_section_is_in_the_folder_of_sections() -> None:
    folder = ROOT / read_places()["a section of the report"]
    assert folder.is_dir()
    files = [Path(section.build.__code__.co_filename) for section in SECTIONS]
    assert all(file.is_relative_to(folder) for file in files)


def test_no_other_module_spells_a_path_of_a_results_folder() -> None:
    """Docstrings may."""
    place = read_places()["the path of a file in a results folder"]
    keys = re.findall(r"^([a-z]+)/[A-Z]", layout.__doc__ or "", re.MULTILINE)
    assert len(keys) > 10
    spelt = re.compile(rf"({'|'.join(keys)})/|{re.escape(layout.TABLE)}\Z")
    found = {
        (file, text)
        for file, tree in MODULES.items()
        for text in strings(tree)
        if "\n" not in text and spelt.match(text) and file != place
    }
    assert found == set()


def test_no_other_module_names_a_number_of_seeds() -> None:
    """`if seeds < 5` would be a second place of the rule of five seeds."""
    found = [
        ast.unparse(node)
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and "seeds" in ast.unparse(node)
        and any(isinstance(each, ast.Constant) and each.value in (4, 5) for each in ast.walk(node))
    ]
    assert found == []


def test_files_named_in_the_text_exist() -> None:
    """Paths in backquotes."""
    named = set(re.findall(r"`((?:harness|models|analysis|tests|docs|results)/[\w./-]*)`", TEXT))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()


def strings(tree: ast.Module) -> Iterator[str]:
    """The texts of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
