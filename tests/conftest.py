"""What many tests share: real MNIST, cells of every model, one thread."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness import data, registry
from harness.data import Data
from harness.grid import Cell

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
torch.set_num_threads(1)
CellMaker = Callable[..., Cell]


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
