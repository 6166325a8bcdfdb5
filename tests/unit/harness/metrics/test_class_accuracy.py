"""Samples of given classes, by a model and a classifier whose answers are known."""

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.data.loading import load
from harness.evaluation.digit_classifier import DigitClassifier, Net
from harness.evaluation.inputs import MetricInputs, SharedInputs
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.metrics.class_accuracy import score_class_accuracy
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, ConditionalSampling, Model, Noise, Shape, Terms
from harness.storage.store import Store
from tests.conftest import CellMaker

SAMPLES = 1100  # more than are drawn at a time


class Pixel(Model):
    """A sample of class y has pixel y alone; of one class, as it were, the pixel after it."""

    def __init__(self, wrong: int = 10):
        super().__init__()
        self.wrong = wrong

    def noise(self, batch: int) -> dict[str, Shape]:
        return {"z": (batch, 1)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        return Terms()

    def sample(self, noise: Noise) -> Tensor:
        return self.sample_classes(noise, torch.zeros(len(noise["z"]), dtype=torch.long))

    def sample_classes(self, noise: Noise, y: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(y + (y == self.wrong), 784).float()


class FirstPixels(Net):
    """Takes the first ten pixels for logits."""

    def classify(self, x: Tensor) -> Tensor:
        return x[:, :10]


def score(model: Model, data: Data, store: Store) -> dict[str, Any]:
    shared = SharedInputs(store, data, EvaluationConfig(samples=SAMPLES))
    if data.spec.classes:
        vars(shared)["digit_classifier"] = DigitClassifier(FirstPixels(), 1.0, 1.0)
    steps = score_class_accuracy(MetricInputs(shared, Cell("vae", 0, 1), model, {}))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            values: dict[str, Any] = end.value
            return values


def test_every_class_has_equally_many_samples(store: Store, mnist: Data) -> None:
    assert score(Pixel(), mnist, store) == {"class_accuracy": 1.0}
    assert score(Pixel(wrong=3), mnist, store) == {"class_accuracy": 0.9}


def test_data_without_classes_have_none(store: Store) -> None:
    with pytest.raises(ValueError, match="data set 'patches' has no classes"):
        score(Pixel(), load("patches"), store)


def test_the_class_of_a_shipped_model_decides_its_samples(cell: CellMaker) -> None:
    """The same noise of another class gives other images, and those of `sample` for its draw."""
    model = registry.build(cell("ssvae")).eval()
    assert isinstance(model, ConditionalSampling)
    noise = {"z": torch.randn(10, 6, 64), "y": torch.randn(6)}
    with torch.inference_mode():
        drawn = (torch.special.ndtr(noise["y"]) * 10).long()
        assert torch.equal(model.sample(noise), model.sample_classes(noise, drawn))
        other = model.sample_classes(noise, (drawn + 1) % 10)
    assert not torch.isclose(other, model.sample(noise)).all(1).any()
