"""The table of `examples/README.md` has every item, and what it names is there."""

import ast
import re

import pytest

from tests.conftest import ROOT
from tests.unit.models.made_up.conftest import EXAMPLES

TEXT = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| item")
]
ITEMS = re.findall(
    r"\S+", "– a b c1 c2 d e1 e2 f g h i1 i2 j k1 k2 k3 k4 l m n1 n2 n3 n4 n5 o p q r s t u v"
)
REFERENCES = sorted(set(re.findall(r"`((?:examples|models|tests)/[^`]+)`", TEXT)))


def test_every_item_has_its_row() -> None:
    assert [row[0] for row in ROWS] == ITEMS
    assert {row[2] for row in ROWS} <= {"yes", "partly", "no"}
    assert sum(row[2] == "yes" for row in ROWS) >= 23


def test_what_is_shown_names_an_example_or_a_test_and_the_rest_what_is_missing() -> None:
    for item, _, shown, by in ROWS:
        is_named = any(f"`{reference}`" in by for reference in REFERENCES)
        assert is_named or shown == "no", item
        assert shown == "yes" or "no" in by.replace("not", "no").split(), item


@pytest.mark.parametrize("reference", REFERENCES)
def test_what_is_named_exists(reference: str) -> None:
    path, _, function = reference.partition("::")
    assert (ROOT / path).exists()
    if function:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_example_but_the_extra_ones_is_an_item() -> None:
    """WAE-MMD was not among what was tried, and a plug-in that extends a model."""
    named = {path for path in REFERENCES if path.endswith(".py")}
    assert {f"examples/{name}.py" for name in EXAMPLES} - named == {
        "examples/vamp_prior.py",
        "examples/wae_mmd.py",
    }
