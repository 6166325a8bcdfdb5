"""Small made-up data sets to train models on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.data import loading
from harness.evaluation import digit_classifier
from harness.plugins.dataset import Data
from harness.storage.store import Store
from tests.unit import small_data
from tests.unit.models.made_up.pythae_stub import make_modules


@pytest.fixture(autouse=True)
def pythae(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for Pythae, whether it is installed or not."""
    for name, module in make_modules().items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The made-up data sets."""
    with small_data.registered(monkeypatch):
        yield


@pytest.fixture
def data(datasets: None) -> Data:
    """Binary images of 8 × 8 pixels in three classes."""
    return loading.load("made_up")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the classifier of the made-up data."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def small_store(
    tmp_path: Path, classifier: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """An empty results folder with the classifier of the made-up data."""
    monkeypatch.setattr(digit_classifier, "cache_folder", lambda: classifier)
    made = Store(tmp_path / "results")
    digit_classifier.provide(made, data)
    return made
