"""Names are plain: functions are verbs, values are nouns, and the field's word wins."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from benchmarks.structure import NO_PARTICIPLES, PARTICIPLES
from tests.conftest import ROOT

# words of earlier versions: a requested score, a gradient, a retry, a status, a corrupt file, ...
RETIRED = """
    asked bane beside bear descend desk door hear heard hence judged lede lies looked said standing
    stands told torn tries uncollected
"""
GRADIENTS = "slope slopes"  # in the harness; in the analysis a trend has a slope
# words that comments, docstrings, messages and pages do without
RETIRED_PROSE = "asked bane desk door hence said stands storm told torn"
# a field of the status that runs of version 0.1 wrote
PERSISTED = {"harness/monitoring/run_state.py": {"asked"}}
PERSISTED |= {
    name: {"asked"} for name in ("harness/monitoring/run_status.py", "harness/cli/status.py")
}
TERMS = {"paired"}  # the paired t-test
OLD_PATHS = {"harness/contract.py", "harness/registry.py", "harness/store.py", "harness/grid.py"}
OLD_PATHS |= {"harness/schema.py", "harness/fallback.py", "models/gaussian.py", "models/nets.py"}
FILES = [
    path.relative_to(ROOT).as_posix()
    for package in ("harness", "models", "analysis")
    for path in sorted((ROOT / package).rglob("*.py"))
]

DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "examples/*.md", "analysis/rendering/*.html")
    for path in sorted(ROOT.glob(pattern))
    if path.name != "CHANGELOG.md"
]


def defined_names(tree: ast.AST) -> Iterator[str]:
    """The names of functions, classes, parameters and variables that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def split_words(name: str) -> list[str]:
    """The words of an identifier.

    >>> split_words("_StatusWriter"), split_words("MAX_SEEDS")
    (['status', 'writer'], ['max', 'seeds'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]


@pytest.mark.parametrize("file", sorted(set(FILES) - OLD_PATHS))
def test_no_retired_words(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    retired = {*RETIRED.split(), *(GRADIENTS.split() if file.startswith("harness") else [])}
    found = {name for name in defined_names(tree) if retired & set(split_words(name))}
    assert found - PERSISTED.get(file, set()) == set()


@pytest.mark.parametrize("file", sorted({*FILES, *DOCUMENTS} - OLD_PATHS))
def test_no_retired_words_in_prose(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    prose = " ".join(read_prose(text)) if file.endswith(".py") else text
    words = set(re.findall(r"[a-z]+", prose.lower()))
    assert words & set(RETIRED_PROSE.split()) - PERSISTED.get(file, set()) == set()


def read_prose(text: str) -> list[str]:
    """The strings of a module, docstrings included, and its comments.

    >>> read_prose("asked = f'no {door}'  # left")
    ['no ', '# left']
    """
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return [value for value in constants if isinstance(value, str)] + comments


@pytest.mark.parametrize("file", sorted(set(FILES) - OLD_PATHS))
def test_no_function_is_a_bare_participle(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    names = {
        node.name.strip("_")
        for node in functions
        if not any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list)
    }
    assert {name for name in names if is_bare_participle(name)} - TERMS == set()


def is_bare_participle(name: str) -> bool:
    """Whether a name is one word and a past participle: `told`, `judged`."""
    irregular = name in PARTICIPLES.split()
    return irregular or (
        name.endswith("ed") and "_" not in name and name not in NO_PARTICIPLES.split()
    )
