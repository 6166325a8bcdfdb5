"""The metric `accuracy`: how often a model that classifies is right about the grey test images."""

from harness.data.preparation import scale
from harness.evaluation.classification import predict_classes
from harness.evaluation.image_sampling import COLUMN
from harness.evaluation.inputs import MetricInputs
from harness.plugins.metric import ScoreGenerator, register_metric
from harness.plugins.model import Classifier
from harness.storage.layout import predictions_key


def _is_classifier(inputs: MetricInputs) -> bool:
    has_classes = inputs.shared.data.spec.classes > 0
    return has_classes and isinstance(inputs.model, Classifier)


@register_metric(
    "accuracy",
    unit="",
    better="higher",
    columns=("accuracy", COLUMN),
    order=0,
    applies=_is_classifier,
)
def score_accuracy(inputs: MetricInputs) -> ScoreGenerator:
    """Column accuracy, a fraction; the predicted classes are written to the store."""
    assert isinstance(inputs.model, Classifier)
    data = inputs.shared.data
    predicted = predict_classes(inputs.model, scale(data.test_x, data.spec))
    inputs.shared.store.write_classes(predictions_key(inputs.cell.id), predicted.cpu().numpy())
    yield 1.0
    accuracy = float((predicted == data.test_y).sum()) / len(predicted)
    error = (accuracy * (1 - accuracy) / len(predicted)) ** 0.5  # of a binomial share
    return {"accuracy": accuracy, COLUMN: {"accuracy": error}}
