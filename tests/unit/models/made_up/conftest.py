"""Small made-up data sets for the models of the field.

The models are the shipped ones in the sub-packages of `models/`, and those in `examples/`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.experiment.cell import Cell
from harness.plugins import registry
from tests.conftest import ROOT
from tests.unit import small_data

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem[0] != "_")
SHIPPED = sorted(path.stem for path in (ROOT / "models").glob("*/*.py") if path.stem[0] != "_")
NAMES = sorted([*EXAMPLES, *SHIPPED])
EXACT, UNBOUNDED = {"made", "pixelcnn"}, {"gan", "wae_mmd"}


@pytest.fixture(autouse=True)
def datasets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The made-up data sets."""
    with small_data.registered(monkeypatch):
        yield


def list_plugins(name: str) -> list[str]:
    """The file of an example; none of a shipped model."""
    return [str(ROOT / "examples" / f"{name}.py")] if name in EXAMPLES else []


ExampleCell = Callable[..., Cell]


@pytest.fixture
def example() -> ExampleCell:
    """A cell of a model; the plug-in of an example is loaded: `example("gan", seed=1)`."""

    def make(name: str, *args: Any, **values: Any) -> Cell:
        registry.load_plugins(list_plugins(name))
        return small_data.make_cell(name, *args, **values)

    return make
