"""Scores on validation images."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from harness.data.validation_split import split_off_validation
from harness.evaluation import elbo
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.training.validation import ValidationScorer, find_best_point
from tests.conftest import CellMaker


@pytest.fixture
def scorer(mnist: Data) -> ValidationScorer:
    return ValidationScorer(split_off_validation(mnist, Cell("vae", 0, 1, validation=300))[0])


def test_the_bound_is_that_of_scoring_with_other_noise(
    scorer: ValidationScorer, cell: CellMaker
) -> None:
    model = registry.build(cell("vae")).eval()
    scores = scorer.score(cell("vae"), model)
    assert scores == scorer.score(cell("vae"), model)
    assert list(scores) == ["validation_nelbo"]
    generator = elbo.elbo(model, scorer.x, scorer.y)
    try:
        while True:
            next(generator)
    except StopIteration as end:
        expected = end.value["nelbo"]
    assert scores["validation_nelbo"] == pytest.approx(expected, rel=1e-3)
    assert scores["validation_nelbo"] != expected


def test_a_classifier_has_an_accuracy(scorer: ValidationScorer, cell: CellMaker) -> None:
    supervised, both = cell("ssvae", supervision="supervised"), cell("ssvae")
    assert list(scorer.score(supervised, registry.build(supervised))) == ["validation_accuracy"]
    scores = scorer.score(both, registry.build(both))
    assert list(scores) == ["validation_nelbo", "validation_accuracy"]
    assert 0 < (scores["validation_accuracy"] or 0) < 1


class Constant(Model):
    """A model whose terms are given."""

    def __init__(self, values: Terms):
        super().__init__()
        self.values, self.register = values, nn.Linear(1, 1)

    def noise(self, batch: int) -> dict[str, Shape]:
        return {}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        return self.values

    def sample(self, noise: Noise) -> Tensor:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms(torch.tensor(3.0), torch.tensor(2.0)), {"validation_nelbo": 5.0}),
        (Terms(nll=torch.tensor(4.0)), {"validation_nelbo": 4.0}),
        (Terms(extra=torch.tensor(4.0)), {}),
        (Terms(torch.tensor(torch.nan), torch.tensor(2.0)), {"validation_nelbo": None}),
    ],
)
def test_what_there_is_of_a_likelihood_is_scored(
    scorer: ValidationScorer, terms: Terms, expected: dict[str, float | None]
) -> None:
    assert scorer.score(Cell("constant", 0, 1), Constant(terms)) == expected


def test_static_images_are_scored_as_they_are(mnist: Data) -> None:
    data = split_off_validation(mnist, Cell("vae", 0, 1, validation=300))[0]
    assert data.validation_x is not None
    static = replace(
        data,
        spec=replace(data.spec, binarisation="static"),
        validation_x=(data.validation_x > 127).to(torch.uint8),
    )
    assert torch.equal(ValidationScorer(static).x, (data.validation_x > 127).float())


def test_the_best_point_has_the_lowest_nelbo_then_the_highest_accuracy() -> None:
    nelbos = [
        {"step": step, "validation_nelbo": value, "validation_accuracy": value}
        for step, value in enumerate((None, 3.0, 2.0, 2.0, None))
    ]
    best = find_best_point(nelbos)
    assert best is nelbos[2]
    accuracies = [
        {"step": step, "validation_accuracy": value}
        for step, value in enumerate((None, 0.3, 0.9, 0.9))
    ]
    assert find_best_point(accuracies) is accuracies[2]
    assert find_best_point([{"step": 1, "validation_nelbo": None}]) is None
    assert find_best_point([]) is None
