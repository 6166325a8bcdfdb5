"""What many tests share: real MNIST, cells of every model, a store with its judge; fast tests come first."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import data, judge, registry
from harness.data import Data
from harness.grid import Cell
from harness.schema import Row
from harness.store import Store

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
torch.set_num_threads(1)
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGING = {"train_seconds", "score_seconds", "run", "finished", "host", "pack"}
CellMaker = Callable[..., Cell]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast ones first."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def mnist() -> Data:
    """Real MNIST, verified."""
    return data.load("mnist")


@pytest.fixture(scope="session")
def cell() -> CellMaker:
    """A cell of a model with its defaults filled in: `cell("vae", seed=1, beta=4.0)`."""

    def make(model: str, seed: int = 0, iterations: int = 10, **values: Any) -> Cell:
        card = registry.cards()[model]
        supervision = values.pop("supervision", card.supervisions[0])
        settings = tuple(sorted((dict(card.defaults) | values.pop("settings", {})).items()))
        drawn: dict[str, Any] = {} if supervision == "none" else {"labels": 100, "label_draw": "seed"}
        return Cell(model, seed, iterations, settings=settings, supervision=supervision, **(drawn | values))

    return make


@pytest.fixture
def store(tmp_path: Path, mnist: Data) -> Store:
    """An empty results folder with MNIST's judge."""
    made = Store(tmp_path / "results")
    judge.provide(made, mnist)
    return made


@pytest.fixture(scope="session")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the README's section on one's own model gives: a small, quick model."""
    text = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "@register" in block)
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


def lasting(row: Row | None) -> Row:
    """What of a row must not change from run to run."""
    assert row is not None
    return {name: value for name, value in row.items() if name not in CHANGING}


def tree(folder: Path) -> Mapping[str, bytes]:
    """Every file of a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
