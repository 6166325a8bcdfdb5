"""Scores of a model on validation images, while it is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.data.preparation import prepare, scale
from harness.evaluation.checks import InvalidScoreError
from harness.evaluation.classification import compute_accuracy
from harness.evaluation.elbo import elbo
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.plugins.model import Classifier, Model
from harness.plugins.model_state import clone_tensors, restore_buffers

Point = Mapping[str, Any]  # of a learning curve


class ValidationScorer:
    """Scores models on the validation images of a data set, always with the same noise.

    dequantised: whether the models see ordinal images so
    """

    def __init__(self, data: Data, dequantised: bool = False):
        assert data.validation_x is not None
        assert data.validation_y is not None
        self.spec, self.y = data.spec, data.validation_y
        generator = seeding.evaluation_generator("validation binarisation")
        x = prepare(data.validation_x.cpu(), data.spec, generator, dequantised)
        self.x = x.to(self.y.device)
        self.grey = scale(data.validation_x, data.spec)

    def score(self, cell: Cell, model: Model) -> dict[str, float | None]:
        """What the model of a cell has of validation_nelbo (nats) and validation_accuracy.

        A score that is not finite or not possible is None.
        """
        scores: dict[str, float | None] = {}
        if cell.has_bound:
            scores |= self._score_bound(model)
        if self.spec.classes and isinstance(model, Classifier):
            with torch.inference_mode():
                scores["validation_accuracy"] = compute_accuracy(model, self.grey, self.y)
        return scores

    def _score_bound(self, model: Model) -> dict[str, float | None]:
        """The NELBO, or the exact -log p(x); empty for a model with neither."""
        buffers = clone_tensors(dict(model.named_buffers()))
        generator = elbo(model, self.x, self.y, self.spec, "validation noise")
        try:
            while True:
                next(generator)
                restore_buffers(model, buffers)
        except StopIteration as end:
            values: dict[str, Any] = end.value
        except InvalidScoreError:
            return {"validation_nelbo": None}
        found = [values[name] for name in ("nelbo", "nll") if name in values]
        return {"validation_nelbo": found[0]} if found else {}


def find_best_point(curve: Sequence[Point]) -> Point | None:
    """The first point of a curve with the lowest validation NELBO.

    Without one, as for a classifier, it is the one with the highest validation accuracy; None
    without either.

    >>> nelbos = {100: 99.0, 200: 98.0, 300: 98.5}
    >>> find_best_point([{"step": s, "validation_nelbo": nelbo} for s, nelbo in nelbos.items()])
    {'step': 200, 'validation_nelbo': 98.0}
    """
    for name, sign in (("validation_nelbo", 1), ("validation_accuracy", -1)):
        scored = [point for point in curve if point.get(name) is not None]
        if scored:
            return min(scored, key=lambda point: sign * point[name])
    return None


def check_scores(cell: Cell, scores: Mapping[str, float | None]) -> None:
    """ValueError if a model has no score on validation images to choose its best weights by."""
    if not scores:
        raise ValueError(
            f"model '{cell.model}' has neither a bound nor classes on validation images; expected "
            "one of them with keep: best"
        )


def validation_columns(curve: Sequence[Point], keeps_best: bool) -> dict[str, Any]:
    """The columns of a row about the validation images, from the last or best point of a curve."""
    point: Point = (find_best_point(curve) or {}) if keeps_best else curve[-1]
    columns = {name: point.get(name) for name in ("validation_nelbo", "validation_accuracy")}
    return columns | {"best_step": point.get("step") if keeps_best else None}
