"""Small models with state that a step changes."""

from collections.abc import Iterator

import pytest

from harness.plugins import registry
from tests.unit.harness.stateful import NAMES, SOURCE


@pytest.fixture
def stateful() -> Iterator[None]:
    """The models, registered for one test."""
    registry.load_source("stateful.py", SOURCE)
    yield
    for name in NAMES:
        del registry._models[name]


@pytest.fixture
def normed(stateful: None) -> str:
    """The name of a model with a batch norm."""
    return "normed"


@pytest.fixture
def warmed(stateful: None) -> str:
    """The name of a model that counts its steps."""
    return "warmed"
