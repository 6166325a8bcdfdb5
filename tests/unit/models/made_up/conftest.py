"""Small made-up data sets for the models of the field, and a stand-in for Pythae.

The models are the shipped ones in the sub-packages of `models/`, and those in `examples/`.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import loading
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data, Dataset, DataSpec, Splits, registered_datasets
from tests.conftest import ROOT
from tests.unit.models.made_up.pythae_stub import make_modules

TRAIN, TEST, BATCH = 240, 100, 40
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem[0] != "_")
SHIPPED = sorted(path.stem for path in (ROOT / "models").glob("*/*.py") if path.stem[0] != "_")
NAMES = sorted([*EXAMPLES, *SHIPPED])
SPECS = {
    "made_up": DataSpec((1, 8, 8), classes=3),
    "made_up_colour": DataSpec((3, 8, 8), kind="ordinal", levels=16, classes=3),
    "made_up_letters": DataSpec((1, 8, 8), classes=47),
    "made_up_photos": DataSpec((3, 32, 32), kind="ordinal", levels=256),
    "made_up_dots": DataSpec((1, 2, 3), binarisation="static", classes=2),
    "made_up_values": DataSpec((5,), kind="continuous"),
}


class MadeUp(Dataset):
    """Images whose brightness depends on the class."""

    def __init__(self, spec: DataSpec):
        self.spec = spec

    def load(self, folder: Path | None) -> Splits:
        random, spec = np.random.RandomState(0), self.spec
        classes = np.arange(TRAIN + TEST) % max(1, spec.classes)
        brightness = (1 + classes.reshape(-1, *[1] * len(spec.shape))) / (1 + max(1, spec.classes))
        x: Any = random.uniform(size=(TRAIN + TEST, *spec.shape)) * brightness
        if spec.kind != "continuous":
            is_grey = spec.kind == "binary" and spec.binarisation == "dynamic"
            x = np.floor(x * (256 if is_grey else spec.levels)).astype(np.uint8)
        return Splits(x[:TRAIN], classes[:TRAIN], x[TRAIN:], classes[TRAIN:])


@pytest.fixture(autouse=True)
def datasets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The made-up data sets, and the stand-in for Pythae."""
    for name, module in make_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    for name, spec in SPECS.items():
        monkeypatch.setitem(registered_datasets, name, MadeUp(spec))
    yield
    for name in SPECS:
        registry._specs.pop(name, None)


@pytest.fixture
def data() -> Data:
    """Binary images of 8 × 8 pixels in three classes."""
    return loading.load("made_up")


def list_plugins(name: str) -> list[str]:
    """The file of an example; none of a shipped model."""
    return [str(ROOT / "examples" / f"{name}.py")] if name in EXAMPLES else []


ExampleCell = Callable[..., Cell]


@pytest.fixture
def example() -> ExampleCell:
    """A cell of a model; the plug-in of an example is loaded: `example("gan", seed=1)`."""

    def make(
        name: str, seed: int = 0, dataset: str = "made_up", settings: Any = (), **values: Any
    ) -> Cell:
        registry.load_plugins(list_plugins(name))
        card = registry.cards()[name]
        supervision = card.supervisions[0]
        if supervision != "none":
            values = {"labels": 30, "label_draw": "seed"} | values
        chosen = tuple(sorted((card.default_settings | dict(settings)).items()))
        return Cell(
            name,
            seed,
            20,
            settings=chosen,
            dataset=dataset,
            supervision=supervision,
            batch_size=BATCH,
            **values,
        )

    return make
