"""Small made-up data sets on which every model, shipped or an example, can be trained in a test."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Dataset, DataSpec, Splits, registered_datasets

TRAIN, TEST, BATCH = 240, 100, 40
SPECS = {
    "made_up": DataSpec((1, 8, 8), classes=3),
    "made_up_colour": DataSpec((3, 8, 8), kind="ordinal", levels=16, classes=3),
    "made_up_letters": DataSpec((1, 8, 8), classes=47),
    "made_up_photos": DataSpec((3, 32, 32), kind="ordinal", levels=256),
    "made_up_dots": DataSpec((1, 2, 3), binarisation="static", classes=2),
    "made_up_values": DataSpec((5,), kind="continuous"),
}
DOTS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)))  # all images of made_up_dots


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


@contextmanager
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The made-up data sets are known inside this block."""
    for name, spec in SPECS.items():
        monkeypatch.setitem(registered_datasets, name, MadeUp(spec))
    yield
    for name in SPECS:
        registry._specs.pop(name, None)


def make_cell(
    model: str, seed: int = 0, dataset: str = "made_up", settings: Any = (), **values: Any
) -> Cell:
    """A cell of a registered model: `make_cell("iwae", seed=1, dataset=NAME)`."""
    card = registry.cards()[model]
    supervision = values.pop("supervision", card.supervisions[0])
    if supervision != "none":
        values = {"labels": 30, "label_draw": "seed"} | values
    chosen = tuple(sorted((card.default_settings | dict(settings)).items()))
    return Cell(
        model,
        seed,
        20,
        settings=chosen,
        dataset=dataset,
        supervision=supervision,
        batch_size=BATCH,
        **values,
    )
