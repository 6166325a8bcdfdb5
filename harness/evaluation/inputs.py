"""What metrics are computed from: a trained model, and what all cells of a trial share."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from harness.evaluation import digit_classifier, scored_images
from harness.evaluation.digit_classifier import DigitClassifier
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import Compile
from harness.plugins.dataset import Data
from harness.plugins.model import Model, sees_dequantised
from harness.storage.store import Store


class SharedInputs:
    """What all cells of a trial share; each image set is prepared once, when first used.

    compile_mode: whether metrics that can compile what they compute do so
    """

    def __init__(
        self,
        store: Store,
        data: Data,
        evaluation: EvaluationConfig,
        compile_mode: Compile = "auto",
    ):
        self.store, self.data, self.evaluation = store, data, evaluation
        self.compile_mode = compile_mode

    @cached_property
    def test_images(self) -> Tensor:
        """The test images as models see them: (n, dimensions), levels in [0, 1] of ordinal data."""
        return scored_images.prepare_test_images(self.data)

    @cached_property
    def dequantised_test_images(self) -> Tensor:
        """The test images of ordinal data as models of their density see them: (n, dimensions)."""
        return scored_images.prepare_test_images(self.data, dequantised=True)

    @cached_property
    def subset_images(self) -> Tensor:
        """The test images that the subset lists: (n, dimensions)."""
        return scored_images.prepare_subset(self.data, self.evaluation.subset)

    @property
    def subset_classes(self) -> Tensor:
        """The classes of the test images that the subset lists: (n,)."""
        return self.data.test_y[list(self.evaluation.subset)]

    @cached_property
    def digit_classifier(self) -> DigitClassifier | None:
        """The classifier that counts classes among samples; None for data without classes."""
        if not digit_classifier.can_classify(self.data.spec):
            return None
        return digit_classifier.load(self.store, self.data)


@dataclass(frozen=True)
class MetricInputs:
    """The inputs of every metric for one cell.

    shared: data, test images, store and evaluation settings
    cell, model: the cell and its trained model
    unfinished: tensors by name that a metric keeps here, to continue after an interruption
    """

    shared: SharedInputs
    cell: Cell
    model: Model
    unfinished: MutableMapping[str, Tensor]

    @property
    def test_images(self) -> Tensor:
        """The test images as this model sees them: (n, dimensions)."""
        if sees_dequantised(self.model):
            return self.shared.dequantised_test_images
        return self.shared.test_images

    @property
    def subset_images(self) -> Tensor:
        """The listed test images as this model sees them: (n, dimensions)."""
        if sees_dequantised(self.model):
            return self.shared.dequantised_test_images[list(self.shared.evaluation.subset)]
        return self.shared.subset_images

    @property
    def required_columns(self) -> frozenset[str]:
        """The columns that the row of this cell must be scored for."""
        return self.shared.evaluation.required_columns(self.cell)
